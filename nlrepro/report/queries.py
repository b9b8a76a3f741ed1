"""Do the maps depend on the query? What was measured of finished nets (nlrepro/attention), as a table and a picture.

`queries.csv` has a line a run and block. Distances are (1 - cos) / 2, of a block's input, maps and output, between the positions
of a clip and between videos (nlrepro/attention/dependence.py says it exactly); `_se` are standard errors over batches of videos,
`_start` is before the first step of training. Of the net as a whole: `top1` of these videos, and `one_map_delta`, the points that
it gains if all positions have their mean map.
"""

from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nlrepro.files import write_atomic
from nlrepro.report.figures import INCHES_A_ROW, INK, SERIES, WIDTH, styled, to_svg
from nlrepro.report.formats import MISSING, number, to_text

DISTANCES = tuple(f"{what}_{between}" for what in ("input", "map", "output") for between in ("positions", "videos"))
MEASURED = (*DISTANCES, "top1", "one_map_delta")
STARTS = ("map_positions_start", "map_videos_start")
SHOWN = {
    "maps: positions": "map_positions",
    "videos": "map_videos",
    "positions, untrained": "map_positions_start",
    "outputs: positions": "output_positions",
    "videos ": "output_videos",
}
TOLD = ("fingerprint", "date", "git", "torch", "device")
COLUMNS = ("key", "seed", "block", "videos", *(f"{name}{end}" for name in MEASURED for end in ("", "_se")), *STARTS, *TOLD)
QUERIES = "queries.csv"
PLAIN = {"-nl": "", "-c2d": "", "-3x1x1": "", "-embedded": "", "-spacetime": ""}  # what a net is if its label does not say it


def csv_path(results: Path, profile: str) -> Path:
    return results / "attention" / profile / QUERIES


def read_queries(path: Path) -> pd.DataFrame:
    """The lines of a `queries.csv`."""
    return pd.read_csv(path, na_values=[MISSING], dtype=dict.fromkeys(TOLD, str))


def write_queries(frame: pd.DataFrame, path: Path) -> list[Path]:
    """Write the lines as `path` and, made of what it then holds, the table of all nets and the picture beside it."""
    write_atomic(path, frame.to_csv(index=False, float_format="%.4f", na_rep=MISSING))
    kept, text, picture = read_queries(path), path.with_suffix(".md"), path.with_suffix(".svg")
    write_atomic(text, f"# Do the maps depend on the query?\n\n{table(kept)}\n\n{note(kept)}\n")
    write_atomic(picture, to_svg(draw(kept)))
    return [path, text, picture]


def pooled(frame: pd.DataFrame) -> pd.DataFrame:
    """A line a net: means over its blocks, then over seeds; the standard errors are those of seeds and of videos together."""
    numbers, of_videos = [*MEASURED, *STARTS], [f"{name}_se" for name in MEASURED]
    nets = frame.groupby(["key", "seed"], sort=False)[[*numbers, *of_videos]].mean().groupby("key", sort=False)
    of_seeds = nets[[*MEASURED]].sem().fillna(0.0).add_suffix("_se")  # of one seed it is not known
    squared = of_seeds.pow(2) + nets[of_videos].mean().pow(2)
    return nets[numbers].mean().join(squared.pow(0.5)).assign(seeds=nets.size()).reset_index()


def label(key: str) -> str:
    """ "r50-c2d-nl-res4-dot-spacetime" -> "r50-res4-dot"."""
    for what in PLAIN:
        key = key.replace(what, "")
    return key


def table(frame: pd.DataFrame, style: str = "pipe") -> str:
    """A line a net, to read: the distances that its name has as columns, and the accuracy with one map."""
    found = pooled(frame)
    lines: dict[str, Any] = {"net": found["key"].map(label), "seeds": found["seeds"].astype(str)}
    for title, name in SHOWN.items():
        lines[title] = found[name].map(lambda value: MISSING if isnan(value) else f"{value:.3f}")
    lines["top-1"] = found["top1"].map(number)
    lines["with one map"] = [
        f"{number(delta, sign=True)} \N{PLUS-MINUS SIGN} {number(error)}"
        for delta, error in found[["one_map_delta", "one_map_delta_se"]].to_numpy(float)
    ]
    return to_text(pd.DataFrame(lines), style)


def note(frame: pd.DataFrame) -> str:
    """What the table's columns are, and where its numbers come from."""
    videos, days, devices = (sorted(set(frame[name])) for name in ("videos", "date", "device"))
    return (
        "Distances are (1 - cos) / 2, between two positions of a clip and between two videos at the same position: of the maps "
        "f / C, and of the outputs z - x; means over the blocks of a net. With one map: the points of top-1, with one standard "
        "error, that a net gains if all positions have the mean of their maps. A net is C2D with embedded Gaussian blocks over "
        f"spacetime where its name says nothing else. {' or '.join(map(str, videos))} test videos; "
        f"{' to '.join(sorted({days[0][:10], days[-1][:10]}))}; {', '.join(devices)}."
    )


def summary(frame: pd.DataFrame) -> str:
    """The nets of one block, as READMEs show them."""
    single = frame.groupby(["key", "seed"])["block"].transform("size") == 1
    return f"{table(frame[single])}\n\n{note(frame)}"


def draw(frame: pd.DataFrame) -> Figure:
    """A row a net, a marker a block and seed: the distances of maps and of outputs, and what one map for all positions costs."""
    nets = list(dict.fromkeys(frame["key"]))
    with styled():
        figure = Figure(figsize=(WIDTH, 1.3 + INCHES_A_ROW * len(nets)), layout="constrained")
        maps, outputs, accuracy = figure.subplots(1, 3, sharey=True)
        for axes, what in ((maps, "map"), (outputs, "output")):
            _distances(axes, frame, what, nets)
        once = frame.drop_duplicates(["key", "seed"])
        bars, place = 1.96 * once["one_map_delta_se"], once["key"].map(nets.index)
        accuracy.errorbar(once["one_map_delta"], place, xerr=bars, fmt=SERIES[2][1], color=SERIES[2][0])
        accuracy.axvline(0, color=INK, linewidth=0.8)
        accuracy.set_title("with one map")
        accuracy.set_xlabel("top-1, points")
        maps.set_yticks(range(len(nets)), [label(net) for net in nets])
        maps.set_ylim(len(nets) - 0.5, -0.5)
        figure.legend(*maps.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _distances(axes: Axes, frame: pd.DataFrame, what: str, nets: Sequence[str]) -> None:
    """Between positions above, between videos below."""
    for between, (colour, marker), shift in zip(("positions", "videos"), SERIES, (-0.15, 0.15), strict=False):
        place, found = frame["key"].map(nets.index) + shift, frame[f"{what}_{between}"]
        axes.plot(found, place, marker, color=colour, alpha=0.6, markeredgewidth=0, label=f"between {between}")
    axes.set_title(f"{what}s")
    axes.set_xlabel("distance")
    axes.set_xlim(left=0)
