"""One run of a sweep in a process of its own, and what the sweep hears from it.

Each run has its own pipe: a process that is killed while it writes would leave a shared queue locked.
"""

import signal
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout, suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from typing import IO, NoReturn

from pytorch_lightning.utilities.exceptions import SIGTERMException

from nlrepro.files import BadInput, Busy, make_folder
from nlrepro.processes import die_with_parent
from nlrepro.sweep.gpus import keep_to
from nlrepro.sweep.jobs import Work
from nlrepro.sweep.progress import Row
from nlrepro.sweep.status import reason
from nlrepro.train.progress import Progress
from nlrepro.train.runner import execute

BUSY = 75  # exit status: another process trains the run
TERMINATED = "its process was told to end (SIGTERM)"


class Worker:
    """A started process; `pipe` can be read when it has something to tell or has ended."""

    def __init__(self, context: ForkServerContext, job: Work, gpu: str | None) -> None:
        self.job, self.gpu = job, gpu
        self.pipe, other = context.Pipe(duplex=False)
        self.process = context.Process(target=work, args=(job, other, gpu), name=job.run.name)
        self.process.start()
        other.close()  # so that the end of the process closes the pipe
        self.row, self.wrong = Row(job.run.name, job.steps), ""

    def hear(self) -> bool:
        """Receive one message, how far the run is or what went wrong; False when the process has ended."""
        try:
            told: Progress | str = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            self.pipe.close()
            return False
        if isinstance(told, str):
            self.wrong = told
        else:
            self.row.hear(told)
        return True

    @property
    def busy(self) -> bool:
        return self.process.exitcode == BUSY

    @property
    def failure(self) -> str | None:
        """Why an ended process has left no record."""
        status = self.process.exitcode
        if not status or self.wrong:
            return self.wrong or None
        if status == -signal.SIGKILL:
            return "its process was killed (SIGKILL), as the system does when memory runs out"
        return (
            f"its process was ended by {signal.Signals(-status).name}"
            if status < 0
            else f"its process ended with status {status}"
        )

    def kill(self) -> None:
        self.process.kill()
        self.process.join()


def work(job: Work, pipe: Connection, gpu: str | None) -> None:
    """Make the run; what it prints goes to its log, what goes wrong also to the sweep."""
    keep_to(gpu)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the sweep's to handle
    die_with_parent()
    try:
        make_folder(job.run.folder)
        with (job.run.folder / "log.txt").open("a") as log, redirect_stdout(log), redirect_stderr(log):
            logged(job, pipe, log)
    except Busy:
        sys.exit(BUSY)
    except SIGTERMException:
        tell(pipe, TERMINATED)
    except (BadInput, OSError) as error:  # there is no log
        tell(pipe, reason(error))


def logged(job: Work, pipe: Connection, log: IO[str]) -> None:
    """Make the run; the log has the traceback of what goes wrong."""
    try:
        execute(job, report=pipe.send, wait=False)
    except (Busy, SIGTERMException):
        raise
    except BaseException as error:
        traceback.print_exc(file=log)
        tell(pipe, f"{reason(error)}; see {log.name}")


def tell(pipe: Connection, wrong: str) -> NoReturn:
    """End this process; the sweep hears what went wrong."""
    with suppress(OSError):
        pipe.send(wrong)
    sys.exit(1)
