"""`python -m nlrepro.bench [--what blocks,nets,loader] [--rivals DIR]` writes tables and text to results/local/bench."""

import argparse
from importlib import import_module
from pathlib import Path

import torch

from nlrepro.report.readme import paste

# what can be measured -> the module whose `bench` does it, the README's marks
BENCHES = {
    "blocks": ("nlrepro.bench.block_cases", "bench"),
    "nets": ("nlrepro.bench.nets", "bench-nets"),
    "detectors": ("nlrepro.bench.detectors", "bench-detectors"),
    "loader": ("nlrepro.bench.loader", "bench-loader"),
}


def several(text: str) -> list[str]:
    names = text.split(",")
    if not set(names) <= set(BENCHES):
        raise argparse.ArgumentTypeError(f"some of {','.join(BENCHES)} with commas between them; got {text!r}")
    return names


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m nlrepro.bench", description=__doc__)
    parser.add_argument("--what", type=several, default=list(BENCHES), help=f"some of {','.join(BENCHES)} (default: all)")
    parser.add_argument("--rivals", type=Path, help="folder with checkouts named SlowFast, mmcv, Non-local_pytorch")
    parser.add_argument("--publish", action="store_true", help="maintainers: to results/published, nlrepro/bench/README.md")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--clips", type=int, default=10_000, help="clips after which the loader's memory is looked at")
    arguments = parser.parse_args()
    if arguments.rivals and not arguments.rivals.is_dir():
        parser.error(f"--rivals {arguments.rivals} is not a folder; give the one that holds SlowFast, mmcv, Non-local_pytorch")
    torch.set_num_threads(1)
    folder = Path("results", "published" if arguments.publish else "local", "bench")
    for what in arguments.what:
        module, mark = BENCHES[what]
        said = import_module(module).bench(arguments, folder)
        print(f"{said}\nwritten to {folder}", flush=True)
        if arguments.publish:
            paste(Path("nlrepro/bench/README.md"), mark, said)


if __name__ == "__main__":
    main()
