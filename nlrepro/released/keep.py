"""A finished run's net as a small file to pass on: float16, with a note of where it came from."""

import json
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import torch

from nlrepro.errors import BadInput
from nlrepro.evaluation import OWN, Weights
from nlrepro.files import write_atomic
from nlrepro.nets.reading import tensors
from nlrepro.released.importing import note_path
from nlrepro.run import Run
from nlrepro.train.checkpoint import state_bytes


def keep(run: Run, out: Path) -> Weights:
    """Write the net at `out` and the note beside it, as `out`.json. The note's `file` ends in the fingerprint of the record.

    Raises:
        BadInput: the run is not finished, float16 cannot hold its net, or `out` cannot be written.
    """
    file, results = run.weights, run.folders.results
    if not run.finished():
        raise BadInput(f"no finished run {run.name} below {results}; `run` or `sweep` makes it")
    half = {name: x.half() if x.is_floating_point() else x for name, x in tensors(file).items()}
    lost = [name for name, x in half.items() if not torch.isfinite(x).all()]
    if lost:
        raise BadInput(f"float16 cannot hold {lost[0]} of {file}; keep the file itself")
    state = state_bytes(half)
    note = Weights(
        source=OWN,
        variant=f"seed{run.seed}",
        key=run.key,
        file=str(file.relative_to(results / "runs")),
        sha256=sha256(file.read_bytes()).hexdigest(),
        state=sha256(state).hexdigest(),
    )
    write_atomic(out, state)
    write_atomic(note_path(out), json.dumps(asdict(note), indent=1) + "\n")
    return note
