"""No process outlives the one that needs it. Else it could wait on pipes that stay open, or compute, for ever."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time

TICK = 0.2  # seconds between two looks
PR_SET_PDEATHSIG = 1  # of Linux's prctl


def die_with_parent() -> None:
    """Kill this process as soon as the one that asked for it has ended, even if that was killed.

    With `multiprocessing` the one that asked is not the system's parent: a fork server stands between, and lives as long as its
    children.
    """
    asked = multiprocessing.parent_process()

    def watch() -> None:
        if asked:
            asked.join()
        else:
            wait_for_parent()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="parent's end", daemon=True).start()


def die_with_starter() -> None:
    """Let Linux kill this process when the thread that started it ends; elsewhere do nothing.

    For a process that is forked later, where a thread that watches would be in the way.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_for_parent() -> None:
    """Return when the system has given this process another parent."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(TICK)
