"""Why a video file cannot be used: one line that is the same for all files of which it is true."""

import re
from pathlib import Path

# what native errors put before their words: "[10:46:56] /src/video/video_reader.cc:151: Check failed: st_nb >= 0 (-1 vs. 0) "
NOISE = re.compile(r"\[\d+:\d+:\d+\] |\S*/\S+:\d+: |Check failed: .*? \(.*? vs\. .*?\) *|0x[0-9a-fA-F]+")


class Unusable(Exception):
    """Why a file cannot be used, in one line."""


class NoDecoder(Unusable):
    """A reader lacks what such a file needs; another one may have it."""


def gist(error: Exception, path: Path) -> str:
    """The last line of an error about a file, without what differs from file to file: times, places, pointers, its path."""
    last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
    return NOISE.sub("", last.replace(str(path), "the file")).strip()[-120:]
