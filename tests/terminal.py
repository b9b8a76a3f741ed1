"""A terminal of so many rows and columns, as a person sees it: a pseudo-terminal, and what stands on its screen."""

import fcntl
import os
import pty
import re
import struct
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO

BELL = "\x07"
TOKEN = re.compile(r"\x1b\[\d*[A-Za-z]|[\r\n\x07]|[^\x1b\r\n\x07]+")


@dataclass
class Screen:
    """Lines and cursor. It knows the sequences that this project writes, a line up and clear, and fails at any other."""

    rows: int
    columns: int
    lines: list[str] = field(default_factory=lambda: [""])  # also those that have scrolled away
    row: int = 0
    column: int = 0

    def feed(self, text: str) -> None:
        assert "".join(TOKEN.findall(text)) == text
        for token in TOKEN.findall(text):
            if token == "\r":
                self.column = 0
            elif token == "\n":
                self.down()
            elif token == "\x1b[A":
                self.row = max(self.row - 1, len(self.lines) - self.rows, 0)  # what has scrolled away is not reached
            elif token == "\x1b[J":
                self.lines[self.row :] = [self.lines[self.row][: self.column]]
            elif token != BELL:
                assert not token.startswith("\x1b"), token
                for letter in token:
                    self.put(letter)

    def down(self) -> None:
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append("")

    def put(self, letter: str) -> None:
        if self.column == self.columns:
            self.down()
            self.column = 0
        line = self.lines[self.row].ljust(self.column)
        self.lines[self.row] = line[: self.column] + letter + line[self.column + 1 :]
        self.column += 1

    @property
    def shown(self) -> list[str]:
        """What is left of trailing blanks, with what has scrolled away."""
        return "\n".join(line.rstrip() for line in self.lines).rstrip("\n").split("\n")


class Pty:
    """The two ends: a program writes to `file`; `text` is all that it has written so far."""

    def __init__(self, rows: int, columns: int) -> None:
        self.rows, self.columns = rows, columns
        self.end, other = pty.openpty()
        self.file: IO[str] = os.fdopen(other, "w")
        self.resize(rows, columns)
        self.text, self.bells = "", 0
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.file, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self) -> None:
        content = b""
        try:
            while piece := os.read(self.end, 4096):
                content += piece
                self.text = content.decode(errors="ignore")
        except OSError:  # nobody holds the other end any more
            pass

    def screen(self) -> Screen:
        found = Screen(self.rows, self.columns)
        found.feed(self.text)
        return found

    def wait_for(self, words: str) -> None:
        deadline = time.monotonic() + 120
        while words not in self.text:
            assert time.monotonic() < deadline, self.text
            time.sleep(0.01)

    def seen(self) -> Screen:
        """The screen with all that was written until now, of which a bell is the last."""
        self.bells += 1
        self.file.write(BELL)
        self.file.flush()
        while self.text.count(BELL) < self.bells:
            time.sleep(0.001)
        return self.screen()


@contextmanager
def terminal(rows: int = 24, columns: int = 80) -> Iterator[Pty]:
    """The program's end is closed first, so that all is read when the block has ended."""
    both = Pty(rows, columns)
    try:
        yield both
    finally:
        both.file.close()
        both.reader.join(10)
        os.close(both.end)
