"""Debian's chromium without a window, driven over DevTools' pipe: no driver and no library is needed."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
COMPLAINTS = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")


class Page:
    """One tab. `complaints` are its console messages, its exceptions, and what it asked of the network."""

    def __init__(self, commands: int, answers: int) -> None:
        self.commands, self.answers = os.fdopen(commands, "wb", 0), os.fdopen(answers, "rb")
        self.number, self.session, self.loaded = 0, "", False
        self.complaints: list[str] = []
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.tell(f"{domain}.enable")

    def tell(self, method: str, **parameters: Any) -> Any:
        """Send one command and wait for its answer."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        self.commands.write(
            json.dumps(message | ({"sessionId": self.session} if self.session else {})).encode() + b"\0"
        )
        while (answer := self._next()).get("id") != self.number:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        """The next answer or event; messages end with a zero byte."""
        message = bytearray()
        while (byte := self.answers.read(1)) != b"\0":
            assert byte, "chromium ended"
            message += byte
        event: dict[str, Any] = json.loads(message)
        method, told = event.get("method"), event.get("params", {})
        if method in COMPLAINTS:
            self.complaints.append(json.dumps(told))
        if method == "Network.requestWillBeSent" and not told["request"]["url"].startswith(
            ("file:", "data:")
        ):
            self.complaints.append(told["request"]["url"])
        self.loaded |= method == "Page.loadEventFired"
        return event

    def open(self, path: Path, width: int) -> None:
        """Load a file in a window of this width; returns when all of it is there."""
        self.loaded = False
        window = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.tell("Emulation.setDeviceMetricsOverride", **window)
        self.tell("Page.navigate", url=path.resolve().as_uri())
        while not self.loaded:
            self._next()

    def value(self, expression: str) -> Any:
        """Of a JavaScript expression."""
        return self.tell("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")


@contextmanager
def browse(profile: Path) -> Iterator[Page]:
    """A browser with its own files in `profile`."""
    assert CHROMIUM
    (theirs_in, commands), (answers, theirs_out) = os.pipe(), os.pipe()
    wires = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
    line = ["bash", "-c", wires, "browser", CHROMIUM, *FLAGS, f"--user-data-dir={profile}"]
    silent = subprocess.DEVNULL
    with subprocess.Popen(line, pass_fds=(theirs_in, theirs_out), stdout=silent, stderr=silent) as process:
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            page = Page(commands, answers)
            yield page
            page.session = ""
            page.tell("Browser.close")
            page.commands.close()
            page.answers.close()
            process.wait(20)
        finally:
            process.kill()
