"""The layouts that datasets are published in: which splits, videos, classes and groups their lists name.

Videos of one group are cut from one recording. A dataset without a validation split of its own gets one: a
tenth of the groups of each class are held out of training, so that nothing is chosen on the test.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, NamedTuple
from zlib import crc32

from nlrepro.config import Real
from nlrepro.data.clips import SUFFIXES, Tree
from nlrepro.files import BadInput, access, names_in

HELD_OUT = 10  # one of so many groups of a class is for validation
WORDS = {"train": "train", "val": "val", "validation": "val", "test": "test"}  # in a list's name -> its split


class Video(NamedTuple):
    """A line of a list."""

    path: str  # below the folder of all videos
    label: str  # its class
    group: str


class Listing(NamedTuple):
    """What the lists of a dataset say."""

    folder: Path  # of the videos
    classes: Sequence[str]  # by class number
    splits: dict[str, list[Video]]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Layout:
    """How a dataset lies in its folder."""

    name: str
    needs: str
    fits: Callable[[Path], bool]
    read: Callable[[Path, Real], Listing] | None = None  # None: nlrepro/data/kinetics.py lists each split


def find_layout(root: Path) -> Layout:
    """The first layout that fits a folder.

    Raises:
        BadInput: none does.
    """
    with access(root):
        fitting = next((layout for layout in LAYOUTS if layout.fits(root)), None)
    if not fitting:
        known = "; ".join(f"{layout.name}: {layout.needs}" for layout in LAYOUTS)
        raise BadInput(f"what lies in {root} has no layout that is known here. Known are {known}")
    return fitting


def read_ucf101(root: Path, real: Real) -> Listing:
    """A video is `<Class>/v_<Class>_g<group>_c<clip>.avi`."""
    lists = root / "ucfTrainTestlist"
    numbers: dict[str, int] = {}
    for place, line in read_lines(lists / "classInd.txt"):
        number, _, name = line.partition(" ")
        if not number.isdecimal() or not name or name in numbers or int(number) in numbers.values():
            raise BadInput(f"{place}: expected a new NUMBER CLASS, got {line!r}; get the file again")
        numbers[name] = int(number)
    splits: dict[str, list[Video]] = {}
    for split in ("train", "test"):
        videos = splits[split] = []
        for place, line in read_lines(lists / f"{split}list{real.fold:02}.txt"):
            path, _, number = line.partition(" ")
            label = path.split("/")[0]
            if number not in ("", str(numbers.get(label))) or label not in numbers:
                expected = f"{numbers[label]}" if label in numbers else "a class of it"
                raise BadInput(f"{place}: {line!r} contradicts classInd.txt, which says {expected}")
            group = re.search(r"_g\d+(?=_)", path)
            videos.append(Video(path, label, f"{label}{group[0] if group else path}"))
    last = max(numbers.values(), default=0)
    skipped = sorted({*range(1, last + 1)} - {*numbers.values()})
    notes = [f"classInd.txt skips the numbers {', '.join(map(str, skipped))}"] if skipped else []
    return Listing(root / "UCF-101", sorted(numbers, key=numbers.__getitem__), splits, notes)


def read_hmdb51(root: Path, real: Real) -> Listing:
    """A file of lines `<video> <0, 1 or 2>` a class: not in this fold, training, test."""
    end = f"_test_split{real.fold}.txt"
    files = sorted(files_like(root, f"*{end}"))
    if not files:
        raise BadInput(f"no lists *{end} in {root}; unpack them there, or set `fold` in [real] of a profile")
    splits: dict[str, list[Video]] = {"train": [], "test": []}
    labels = [path.name.removesuffix(end) for path in files]
    if twice := [label for label, number in Counter(labels).items() if number > 1]:
        raise BadInput(f"{root} has the list {twice[0]}{end} twice; keep one of them")
    for path, label in zip(files, labels, strict=True):
        for place, line in read_lines(path):
            name, _, mark = line.rpartition(" ")
            if not name or mark not in ("0", "1", "2"):
                raise BadInput(f"{place}: expected VIDEO and 0, 1 or 2, got {line!r}; get the file again")
            if mark != "0":
                group = name.partition(f"_{label}_")[0]
                splits["train" if mark == "1" else "test"].append(Video(f"{label}/{name}", label, group))
    return Listing(folder_of(root, labels), sorted(labels), splits)


def read_ssv2(root: Path, real: Real) -> Listing:
    """Results are of its validation split, as in published work: here that is `test`."""
    numbers = read_json(root, "labels")
    if not isinstance(numbers, dict) or not all(str(number).isdecimal() for number in numbers.values()):
        raise BadInput(f"*labels.json in {root} is no map from templates to numbers; get it again")
    splits: dict[str, list[Video]] = {}
    for split, name in {"train": "train", "test": "validation"}.items():
        splits[split] = []
        for row in read_json(root, name):
            try:
                label, identity = str(row["template"]).translate({ord("["): "", ord("]"): ""}), str(row["id"])
            except (TypeError, KeyError):
                raise BadInput(f"*{name}.json in {root} has a row without id or template: {row!r}") from None
            if label not in numbers:
                raise BadInput(f"*{name}.json in {root}: {label!r} of {identity} is not in *labels.json")
            splits[split].append(Video(f"{identity}.webm", label, identity))
    folder = folder_of(root, {video.path for videos in splits.values() for video in videos})
    return Listing(folder, sorted(numbers, key=lambda name: int(numbers[name])), splits)


def read_lists(root: Path, real: Real) -> Listing:
    """Lines `path label` or `path,label`; a label is a number from 0 on."""
    splits: dict[str, list[Video]] = {}
    for split, path in list_files(root).items():
        splits[split] = []
        for place, line in read_lines(path):
            fields = re.fullmatch(r"(.+)[,\s]\s*(\d+)", line)
            if not fields or PurePath(fields[1]).suffix.lower() not in SUFFIXES:
                expected = f"a path that ends in {', '.join(sorted(SUFFIXES))}, and a number"
                frames = "; lists of decoded frames (FOLDER FRAMES LABEL) are not read, give the videos"
                raise BadInput(f"{place}: expected {expected}, got {line!r}{frames}")
            splits[split].append(Video(fields[1].strip(), str(int(fields[2])), fields[1]))
    number = 1 + max((int(video.label) for videos in splits.values() for video in videos), default=-1)
    return Listing(root / real.prefix, [str(i) for i in range(number)], splits)


def list_files(root: Path) -> dict[str, Path]:
    """The list of each split: a .txt or .csv file with its name in its own, such as "ucf101_train_list.txt".

    Kinetics' own tables, which have a column youtube_id, are none.
    """
    files: dict[str, Path] = {}
    for name in names_in(root):
        path, words = root / name, re.split(r"[^a-z]+", name.lower())
        split = next((WORDS[word] for word in words if word in WORDS), None)
        if split is None or words[-1] not in ("txt", "csv") or not path.is_file():
            continue
        if "youtube_id" in next(read_lines(path), ("", "youtube_id"))[1]:  # an empty file is none either
            continue
        if split in files:
            raise BadInput(
                f"{root} has two lists of {split}: {files[split].name} and {name}; keep one of them"
            )
        files[split] = path
    return files


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Place, such as "list.txt, line 3", and text of each line that is not empty, with any line ends.

    Raises:
        BadInput: it cannot be read, or a line has signs that cannot be printed, or is no UTF-8.
    """
    with access(path):
        lines = path.read_text("utf-8-sig", "surrogateescape").splitlines()
    for number, line in enumerate(lines, 1):
        text = line.replace("\t", " ").strip()
        if not text.isprintable():
            raise BadInput(
                f"{path}, line {number}: {text!r:.80} has signs that cannot be printed, or is no UTF-8"
            )
        if text:
            yield f"{path}, line {number}", text


def read_json(root: Path, name: str) -> Any:
    """The file `*<name>.json` of a folder, or of one in it."""
    path = files_like(root, f"*{name}.json")[0]
    with access(path):
        content = path.read_bytes()
    try:
        return json.loads(content)
    except ValueError as error:
        raise BadInput(f"{path} is no JSON: {error}; get it again") from None


def files_like(root: Path, *patterns: str) -> list[Path]:
    """Files in a folder, or in one within it; empty where one of the patterns has none."""
    files = [[path for mark in ("", "*/") for path in sorted(root.glob(mark + each))] for each in patterns]
    return [path for each in files for path in each] if all(files) else []


def folder_of(root: Path, names: Iterable[str]) -> Path:
    """The folder, `root` or one in it, that holds the most of these files or folders."""
    names, folders = {*names}, [root, *(root / name for name in names_in(root) if (root / name).is_dir())]
    return max(folders, key=lambda folder: len(names & {*names_in(folder)}))


def list_split(listing: Listing, split: str, classes: int | None) -> tuple[Tree, int, list[str]]:
    """The videos of a split that are there, how many are listed, and oddities in words.

    Raises:
        BadInput: it has none, or a video of another split or class; or there are not so many `classes`.
    """
    names, notes = tuple(listing.classes), [*listing.notes]
    if classes not in (None, len(names)):
        counts = f"{len(names)} classes where the profile says {classes}"
        raise BadInput(
            f"the lists of {listing.folder} have {counts}; is a part missing, or is it another dataset?"
        )
    listed, here = videos_of(listing, split, notes), set[str]()
    for parent in {PurePath(video.path).parent for video in listed}:
        if (listing.folder / parent).is_dir():
            here |= {str(parent / name) for name in names_in(listing.folder / parent)}
    if missing := [video.path for video in listed if video.path not in here]:
        counts = f"{len(missing):,} of {len(listed):,} listed videos have no file"
        notes.append(f"{counts} in {listing.folder}, such as {missing[0]}")
    if len(missing) == len(listed):
        raise BadInput("; ".join([f"no video of the split {split!r} is there", *notes]))
    number = {name: i for i, name in enumerate(names)}
    ordered = sorted((number[video.label], video.path) for video in listed if video.path in here)
    labels, videos = zip(*ordered, strict=True)
    return Tree(folder=listing.folder, classes=names, videos=videos, labels=labels), len(listed), notes


def videos_of(listing: Listing, split: str, notes: list[str]) -> list[Video]:
    """The videos of a split, each once; those of "val" are held out of training where no list names it."""
    places: dict[str, tuple[str, str]] = {}
    for name, videos in listing.splits.items():
        for video in videos:
            other, label = places.setdefault(video.path, (name, video.label))
            if (other, label) != (name, video.label):
                both = f"in {other} as {label!r} and in {name} as {video.label!r}"
                raise BadInput(f"{video.path} is {both}; keep one of the two lines")
    splits = {name: list(dict.fromkeys(videos)) for name, videos in listing.splits.items()}
    parts = Counter(group for videos in splits.values() for group in {video.group for video in videos})
    if mixed := sorted(group for group, number in parts.items() if number > 1):
        counts = f"{len(mixed):,} groups have videos in several splits"
        notes.append(f"{counts}, such as {mixed[0]}: what a net is tested on is like what it has seen")
    if "val" not in splits and "train" in splits:
        held = held_out(splits["train"])
        parted = [
            [video for video in splits["train"] if (video.group in held) is out] for out in (False, True)
        ]
        splits["train"], splits["val"] = parted
    if not splits.get(split):
        have = ", ".join(name for name, videos in splits.items() if videos) or "none"
        advice = "make its list, or name another one in [clips] of the profile"
        raise BadInput(f"the lists of {listing.folder} have no split {split!r}, but {have}; {advice}")
    return splits[split]


def held_out(videos: Iterable[Video]) -> set[str]:
    """A tenth of the groups of each class, at least one of several; by their names alone."""
    groups: dict[str, set[str]] = {}
    for video in videos:
        groups.setdefault(video.label, set()).add(video.group)
    held = set[str]()
    for each in groups.values():
        ordered = sorted(each, key=lambda group: crc32(group.encode("utf-8", "surrogateescape")))
        held |= {*ordered[: max(len(each) // HELD_OUT, len(each) > 1)]}
    return held


LAYOUTS = (
    Layout(
        "UCF-101",
        "UCF-101/<Class>/*.avi, ucfTrainTestlist/classInd.txt, trainlist01.txt and testlist01.txt",
        lambda root: all((root / name).is_dir() for name in ("UCF-101", "ucfTrainTestlist")),
        read_ucf101,
    ),
    Layout(
        "HMDB-51",
        "<class>/*.avi and <class>_test_split1.txt, each also in a folder of their own",
        lambda root: bool(files_like(root, "*_test_split[123].txt")),
        read_hmdb51,
    ),
    Layout(
        "Something-Something V2",
        "<id>.webm, labels.json, train.json and validation.json, each also in a folder of their own",
        lambda root: bool(files_like(root, "*labels.json", "*train.json", "*validation.json")),
        read_ssv2,
    ),
    Layout(
        "lists of your own",
        "train.txt and test.txt (or .csv; val.txt too) with lines `path label`",
        lambda root: bool(list_files(root)),
        read_lists,
    ),
    Layout(
        "Kinetics",
        "train/<class>/<video> and val/<class>/<video>",
        lambda root: any((root / split).is_dir() for split in WORDS),
    ),
)
