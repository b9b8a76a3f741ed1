"""A real SLURM of one node on the loopback of this machine: munged, slurmctld and slurmd in one folder."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "sinfo")
MISSING = [name for name in PROGRAMS if not shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")]
# A requeued job may start again when its credential has expired: 2 minutes by default, 5 seconds at least.
CONFIG = """
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,requeue_delay=0
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus}
PartitionName=tests Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def start(stack: ExitStack, *words: str) -> None:
    """A daemon in the foreground, ended with the stack."""
    quiet = subprocess.DEVNULL
    path = shutil.which(words[0], path=f"{os.environ['PATH']}:/usr/sbin")
    process = subprocess.Popen(
        [path or words[0], *words[1:]], stdout=quiet, stderr=quiet, start_new_session=True
    )
    stack.callback(process.wait)
    stack.callback(process.terminate)


def output(*words: str) -> str:
    """A SLURM command's output, errors included."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout + done.stderr


def until(what: str, holds: Callable[[], bool], seconds: float) -> None:
    """Look five times a second.

    Raises:
        AssertionError: it does not come true in time.
    """
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.2)


@contextmanager
def loopback(cpus: int) -> Iterator[None]:
    """SLURM_CONF names its settings while it runs."""
    with TemporaryDirectory(prefix="slurm-") as name, ExitStack() as stack:
        folder, host = Path(name), socket.gethostname().split(".")[0]
        folder.chmod(0o755)  # munge wants its socket to be within everyone's reach
        key = folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(os.urandom(1024))
        files = {"socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        options = [f"--{option}={folder}/munge.{end}" for option, end in files.items()]
        start(stack, "munged", "--foreground", f"--key-file={key}", *options)
        until("munge answers", (folder / "munge.socket").exists, 10)
        user = output("id", "-un").strip()
        config = folder / "slurm.conf"
        config.write_text(CONFIG.format(host=host, ports=free_ports(2), user=user, folder=folder, cpus=cpus))
        stack.enter_context(pytest.MonkeyPatch.context()).setenv("SLURM_CONF", str(config))
        for daemon in ("slurmctld", "slurmd"):
            start(stack, daemon, "-D", "-f", str(config))
        until("a node is idle", lambda: output("sinfo", "--noheader", "--format=%T").strip() == "idle", 30)
        stack.callback(output, "scancel", "--user", user)
        yield
