"""The devices that one run computes on, and its processes, one a device."""

import os
from dataclasses import dataclass
from typing import Any

from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from pytorch_lightning.utilities import rank_zero_only


@dataclass(frozen=True, kw_only=True)
class Machine:
    """So many devices on each of so many nodes."""

    devices: int = 1
    nodes: int = 1

    @property
    def world_size(self) -> int:
        """The number of processes."""
        return self.devices * self.nodes

    @property
    def options(self) -> dict[str, Any]:
        """What Lightning's trainer is told of it."""
        return {
            "devices": self.devices,
            "num_nodes": self.nodes,
            "strategy": "ddp" if self.world_size > 1 else "auto",
            "use_distributed_sampler": False,  # nlrepro/train/sampler.py gives each process its part
        }

    @property
    def environment(self) -> list[SLURMEnvironment]:
        """A plugin for Lightning, if SLURM has started the processes and so knows their ranks.

        Lightning must not queue the job again, as submitit does.
        """
        started = SLURMEnvironment.detect() and int(os.environ["SLURM_NTASKS"]) == self.world_size
        return [SLURMEnvironment(auto_requeue=False)] if started else []


ONE = Machine()


def rank() -> int:
    """The number of this process among those of one run, 0 for the first."""
    return int(getattr(rank_zero_only, "rank", 0))
