"""The files that the sources have released, each with its net and the accuracy that its source states (released_checkpoints.csv).

Strides, pools and the form of a non-local block leave no trace in a file's tensors: the file's name tells them.
"""

import csv
import re
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

from nlrepro import paper
from nlrepro.files import BadInput
from nlrepro.released.names import Source
from nlrepro.released.variants import VARIANTS, named
from nlrepro.spec import PaperForm, RunSpec

FORMS: dict[PaperForm, str] = {  # form -> how a file's name tells it; the first counts
    "dot": "dot.?product",
    "embedded": "embedded.?gaussian",
    "gaussian": "gaussian",
}
FOREIGN = {  # words of a file's name, lower case -> what it is then
    "dense": "was trained and is tested on clips from one part of a video (dense sampling), which no test here does",
    "heavy": "is mmaction2's heavy I3D, which inflates every residual block and has no stride in time in conv1 and pool1",
    "slow": "is a Slow or SlowFast net",
    "x3d|mvit": "is another kind of net",
}


@dataclass(frozen=True, kw_only=True)
class Released:
    """A released file. Accuracies are of Kinetics-400's validation videos, percent."""

    source: Source
    file: str
    key: str
    variant: str
    top1: float
    top5: float
    note: str

    @property
    def stated(self) -> str:
        return f"its source states top-1 {self.top1:.1f} %, top-5 {self.top5:.1f} %"


@cache
def released() -> tuple[Released, ...]:
    """All of them, in the file's order."""
    with resources.files(paper).joinpath("released_checkpoints.csv").open() as file:
        return tuple(
            Released(**line | {"top1": float(line["top1"]), "top5": float(line["top5"])})  # type: ignore[arg-type]
            for line in csv.DictReader(file)
        )


def plain(file: str) -> str:
    """A file's name without its ending, mmaction2's date and digest, and a browser's "(1)"."""
    return re.sub(r"(_\d{8}-[0-9a-f]{8})?( ?\(\d+\))?(\.\w+)?$", "", file)


def known(file: str) -> Released | None:
    """The released file of this name."""
    return next((each for each in released() if plain(each.file) == plain(file)), None)


def demand_ours(file: str) -> None:
    """
    Raises:
        BadInput: by its name the file is of a net that no key here is of.
    """
    for words, what in FOREIGN.items():
        if re.search(rf"(?<![a-z])({words})", file.lower()):
            raise BadInput(f"{file}, by its name, {what}; no key here is of it. Rename the file if its name is wrong")


def variant_of(file: str, source: Source, spec: RunSpec, variant: str | None) -> str:
    """The variant of the file's net, once all that its name tells agrees with what was asked for.

    Raises:
        BadInput: it does not agree, the net is none of this project's, or nothing tells the variant.
    """
    demand_ours(file)
    found = known(file)
    told = found.variant if found else named(source, file)
    for option, asked, wanted in (
        ("--source", source, found.source if found else source),
        ("--key", spec.key, found.key if found else spec.key),
        ("--variant", variant or told, told),
    ):
        if asked != wanted and wanted:
            raise BadInput(
                f"{file}, by its name, wants {option} {wanted}, got {asked}; give that, or rename it if its name is wrong"
            )
    form = next((form for form, words in FORMS.items() if re.search(words, file.lower())), None)
    if form and spec.net.sites and form != spec.net.form:
        key = replace(spec, net=replace(spec.net, form=form)).key
        raise BadInput(f"{file}, by its name, has the form {form}, got {spec.key}; give --key {key}, or rename the file")
    if not (told or variant):
        names = ", ".join(each.name for each in VARIANTS[source])
        raise BadInput(f"the name {file} does not tell the file's frames x stride; say --variant, one of {names}")
    return told or variant or ""
