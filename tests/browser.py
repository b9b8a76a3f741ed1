"""Debian's chromium without a window: what JavaScript says of a page; no driver and no library is needed."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")
OPEN = ("--allow-file-access-from-files", "--disable-web-security")  # a page may look into its frame
FRAME = """<!doctype html><iframe src="{page}" style="width: {width}px; height: 900px; border: 0"></iframe>
<script>onload = () => {{ document.body.textContent = JSON.stringify(frames[0].eval({script})) }}</script>
"""


def evaluate(page: Path, script: str, width: int = 1440) -> Any:
    """The value of the script's last line on a page of this width; there must be no complaint on the console.

    The page is in a frame, as a window cannot be as narrow as a phone. Names of hosts are not found.
    """
    assert CHROMIUM
    frame = page.with_name("frame.html")
    frame.write_text(FRAME.format(page=page.as_uri(), width=width, script=json.dumps(script)))
    options = (f"--user-data-dir={page.with_name('browser')}", "--host-resolver-rules=MAP * ~NOTFOUND")
    line = [CHROMIUM, *FLAGS, *OPEN, *options, "--enable-logging=stderr", "--dump-dom", frame.as_uri()]
    done = subprocess.run(line, capture_output=True, text=True, check=True, timeout=60)
    assert "CONSOLE" not in done.stderr, done.stderr
    (value,) = re.findall(r"<body>(.*)</body>", done.stdout, re.DOTALL)
    return json.loads(unescape(value))
