"""No process outlives the one that needs it: its pipes and queues may stay open, and then it would wait, or compute, forever."""

import os
import signal
import threading
import time

TICK = 0.2  # seconds between two looks


def die_with_parent() -> None:
    """From now on this process is killed as soon as its parent has ended, even if that was killed."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(TICK)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="parent's end", daemon=True).start()
