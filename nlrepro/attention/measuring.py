"""Which runs' maps are measured, on which clips; and what is kept of it: a line a run and block of `queries.csv`."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pandas as pd
import torch

from nlrepro.attention.attend import net_of, normalised
from nlrepro.attention.dependence import measure
from nlrepro.config import Profile
from nlrepro.data.crops import MIDDLE, ClipSample, Crop
from nlrepro.experiments.catalogue import Catalogue
from nlrepro.files import BadInput
from nlrepro.nets.resnet import VideoResNet
from nlrepro.processes import progress_bar
from nlrepro.record import fingerprint
from nlrepro.report.queries import COLUMNS, MEASURED, csv_path, note, read_queries, table, write_queries
from nlrepro.run import Run
from nlrepro.train.datamodule import Splits
from nlrepro.train.provenance import provenance
from nlrepro.train.start import warm_start
from nlrepro.trial import Folders

CLIPS = 10  # of a batch, whose videos are compared with each other


def queries(
    catalogue: Catalogue,
    names: Sequence[str],
    seeds: Iterable[int],
    only: str,
    profile: Profile,
    folders: Folders,
    videos: int,
    target: Path,
) -> None:
    """Measure the finished runs of the tables that have non-local blocks; write and print what the folder `target` then has.

    Lines of other runs stay, but those that no run as it is now would give.

    Raises:
        BadInput: none of the runs is finished, or videos are missing.
    """
    runs = [job.run for job in catalogue.jobs(catalogue.chosen(names), seeds, profile, folders, only) if compares(job.run)]
    finished = [run for run in runs if run.finished()]
    missing = [run.name for run in runs if run not in finished]
    if missing:
        print(f"not measured, as they are not finished below {folders.results}: {', '.join(missing)}; `sweep` makes them")
    if not finished:
        raise BadInput(f"no finished run with non-local blocks below {folders.results}; `sweep` makes them")
    path = csv_path(target, profile.name)
    for run in progress_bar(finished, desc="measured", unit=" nets"):
        before = [read_queries(path)] if path.is_file() else []
        written = write_queries(current(pd.concat([lines_of(run, videos), *before]), catalogue, profile), path)
    frame = read_queries(path)
    print(f"{table(frame, 'simple')}\n\n{note(frame)}\nwritten: {', '.join(map(str, written))}")


def current(lines: pd.DataFrame, catalogue: Catalogue, profile: Profile) -> pd.DataFrame:
    """The first line of each run and block, few blocks before many; none of other settings than the runs have now."""
    specs = [spec for spec in catalogue.specs() if spec.clip in profile.clips]
    specs.sort(key=lambda spec: (len(spec.net.sites), spec.clip != "short", spec.net.conv, spec.net.depth, spec.net.sites))
    place = {spec.key: i for i, spec in enumerate(specs)}
    now = lines["key"].map({spec.key: fingerprint(spec, profile) for spec in specs})
    fresh = lines[lines["fingerprint"] == now].drop_duplicates(["key", "seed", "block"])
    return fresh.assign(place=fresh["key"].map(place)).sort_values(["place", "seed"], kind="stable")[[*COLUMNS]]


def compares(run: Run) -> bool:
    """Whether its net has non-local blocks."""
    return run.spec.net.blocks != "none" and run.spec.net.kind == "nonlocal"


def lines_of(run: Run, videos: int) -> pd.DataFrame:
    """A line a block: means over batches of clips, and their standard errors."""
    net, fitting = net_of(run.weights, run.spec, run.profile)
    found = measure(net, batches(run, fitting, videos)).groupby("block", sort=False)
    lines = found[[*MEASURED]].mean().join(found[[*MEASURED]].sem().add_suffix("_se")).join(found["videos"].sum())
    if not run.parent:
        begun = measure(beginning(run), batches(run, fitting, videos)).groupby("block", sort=False)
        lines = lines.join(begun[["map_positions", "map_videos"]].mean().add_suffix("_start"))
    made = provenance(0)
    return (
        lines.reset_index()
        .assign(key=run.key, seed=run.seed, fingerprint=run.fingerprint)
        .assign(date=made.date, git=made.git, torch=made.versions["torch"], device=made.device)
        .reindex(columns=[*COLUMNS])
    )


def beginning(run: Run) -> VideoResNet:
    """The net before its first step: pretrained, with new blocks."""
    torch.manual_seed(run.seed)
    net = VideoResNet(run.spec.net, run.profile.geometry, run.profile.clips[run.spec.clip].classes)
    warm_start(net, run)
    return net


def batches(run: Run, profile: Profile, videos: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """The middle clips of at most so many test videos, evenly spaced; of real ones the middle square. Each goes through all."""
    dataset = Splits(run, run.recipe).dataset(profile.clips[run.spec.clip].test)
    side = profile.real.test_side if profile.real else 0
    chosen = range(0, len(dataset), -(-len(dataset) // videos))
    number = -(-len(chosen) // CLIPS)
    for first in range(number):
        asked = [ClipSample(video, MIDDLE, Crop(side, side) if side else None) for video in chosen[first::number]]
        clips, labels = dataset.__getitems__(asked)
        yield torch.cat([normalised(clip.numpy(), profile.data) for clip in clips]), labels
