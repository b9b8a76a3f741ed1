"""`python -m nlrepro.bench [--what block nets loader] [--rivals FOLDER]` writes to results/local/bench."""

import argparse
import os
from pathlib import Path

import torch

from nlrepro.bench import block_bench, loader_bench, nets_bench, write

BENCHES = {"block": block_bench.bench, "nets": nets_bench.bench, "loader": loader_bench.bench}
RIVALS = "the folder of the checkouts SlowFast, mmcv and Non-local_pytorch"


def main() -> None:
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser = argparse.ArgumentParser(prog="python -m nlrepro.bench", description=__doc__)
    parser.add_argument("--what", nargs="+", choices=BENCHES, default=list(BENCHES), help="default: all")
    parser.add_argument("--rivals", type=Path, help=RIVALS)
    parser.add_argument("--publish", action="store_true", help="maintainers: to results/published/bench")
    parser.add_argument("--device", choices=("cpu", "cuda"), default=default)
    options = parser.parse_args()
    if options.rivals and not options.rivals.is_dir():
        parser.error(f"--rivals {options.rivals} is not a folder; give {RIVALS}")
    if options.device == "cpu":
        torch.set_num_threads(1)
        if hasattr(os, "sched_setaffinity"):  # Linux: one core, with the threads of decoders
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    folder = Path("results", "published" if options.publish else "local", "bench")
    for what in options.what:
        result = BENCHES[what](options.rivals, options.device)
        path = write(what, result, folder, options.rivals, options.device)
        print(f"{result.caption}\n\n{result.table.to_string(index=False)}\n\nwritten to {path}", flush=True)


if __name__ == "__main__":
    main()
