"""No process outlives the one that needs it: its pipes and queues may stay open, and then it would wait, or compute, forever."""

import multiprocessing
import os
import signal
import threading
import time

TICK = 0.2  # seconds between two looks


def die_with_parent() -> None:
    """From now on this process is killed as soon as the one that asked for it has ended, even if that was killed.

    Of `multiprocessing` that is not the parent: a fork server stands between, and lives as long as its children.
    """
    asked = multiprocessing.parent_process()

    def watch() -> None:
        if asked:
            asked.join()
        else:
            wait_for_parent()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="parent's end", daemon=True).start()


def wait_for_parent() -> None:
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(TICK)
