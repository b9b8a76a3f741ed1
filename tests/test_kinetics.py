"""Trees of real videos: what belongs to a split, what `data check` says, and which videos a run sees."""

import os
import re
import shutil
from dataclasses import replace
from errno import EACCES
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from films import film, troublesome

from nlrepro.config import Profile
from nlrepro.data import facts as facts_module
from nlrepro.data.clips import Tree
from nlrepro.data.facts import LINE, Facts, examine, examine_all, index_path
from nlrepro.data.kinetics import list_split
from nlrepro.data.splits import (
    check_split,
    check_videos,
    index_notes,
    open_split,
    read_index,
    videos_seen,
)
from nlrepro.data.synthetic.card_videos import video_path
from nlrepro.files import BadInput, write_atomic
from nlrepro.spec import RunSpec

IDS = [f"abcdefghi-{i}" for i in range(10)]


def plant(root: Path, *videos: str, source: Path | None = None) -> Path:
    """Files at `<split>/<class>/<name>` below root: copies of a video, or empty."""
    for video in videos:
        path = root / video
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.read_bytes() if source else b"")
    return root


def test_any_folder_of_class_folders_is_a_tree(tmp_path: Path) -> None:
    """Hidden files and folders are skipped; a class has one number in all splits and spellings."""
    plant(tmp_path, "train/petting_cat/a.AVI", "train/petting cat/b.mkv", "train/abseiling/c.mp4")
    plant(tmp_path, "train/.cache/x.mp4", "train/abseiling/notes.txt", "train/abseiling/.half.mp4")
    plant(tmp_path, "train/zumba/d.mp4", "val/zumba/e.mp4", "val/petting cat/f.mp4")
    (train, *others), (val, _, notes) = list_split(tmp_path, "train", 3), list_split(tmp_path, "val")
    assert train.videos == ("abseiling/c.mp4", "petting cat/b.mkv", "petting_cat/a.AVI", "zumba/d.mp4")
    assert (train.labels, others) == ((0, 1, 1, 2), [4, []])
    assert train.classes == val.classes == ("abseiling", "petting cat", "zumba")
    assert val.labels == (1, 2)
    assert notes == ["1 of 3 classes have no video in val, such as 'abseiling'"]
    with pytest.raises(BadInput, match="3 classes where the profile says 400"):
        list_split(tmp_path, "train", 400)


BYTES = os.fsdecode(b"caf\xe9")  # no UTF-8


def test_what_has_no_name_or_may_not_be_read_is_left_out_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("it's [1] {a}*?", "a:b%03d", "caf\u00e9", "x" * 250)
    plant(tmp_path, *(f"val/yoga/{name}.mp4" for name in (*names, BYTES, "two\nlines")))
    plant(tmp_path, f"val/{BYTES}/a.mp4", "val/lost+found/a.mp4", "val/a file")
    (tmp_path / "val/loop").symlink_to("loop")
    real = os.scandir

    def scandir(path: str | Path) -> Any:  # tests may run as root, who may read all
        if str(path).endswith("lost+found"):
            raise PermissionError(EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    tree, listed, notes = list_split(tmp_path, "val", 1)
    assert tree.classes == ("yoga",)
    assert tree.videos == tuple(sorted(f"yoga/{name}.mp4" for name in names))
    assert listed == 4 + 3
    files, folders = notes
    assert re.fullmatch(r"3 files are left out, as their names .*, such as 'caf\\udce9/a.mp4'", files)
    assert folders.startswith("2 folders cannot be read and are left out, such as 'loop': Too many levels")
    with pytest.raises(
        BadInput, match=r"1 classes where the profile says 2; .*; 2 folders cannot be read.*; is a part"
    ):
        list_split(tmp_path, "val", 2)
    monkeypatch.setattr(os, "listdir", lambda path: scandir("lost+found"))
    with pytest.raises(BadInput, match=r"cannot read .*/val: Permission denied; check"):
        list_split(tmp_path, "val")


@pytest.mark.parametrize("csv", ["", "caf\u00e9", "cafe\u0301"])
def test_a_class_in_two_unicode_forms_is_one_class(tmp_path: Path, csv: str) -> None:
    plant(tmp_path, f"train/caf\u00e9/{IDS[0]}.mp4", f"val/cafe\u0301/{IDS[1]}.mp4", f"val/yoga/{IDS[2]}.mp4")
    if csv:
        rows = f"{IDS[1]},{csv}\n{IDS[2]},yoga"
        (tmp_path / "val.csv").write_text(f"youtube_id,label\n{rows}\n", "utf-8")
    for split, labels in (("train", (0,)), ("val", (0, 1))):
        tree, _, notes = list_split(tmp_path, split, 2)
        assert (tree.classes, tree.labels) == (("caf\u00e9", "yoga"), labels)
    assert "1 classes are written in two Unicode forms and taken as one, such as 'caf\u00e9'" in notes


def test_pipes_are_no_videos(tmp_path: Path) -> None:
    """Whoever opens one waits for ever."""
    os.mkfifo(tmp_path / "a.mp4")
    assert "no plain file" in examine(tmp_path, "a.mp4").reason


@pytest.mark.parametrize("state", ["unreadable", "a folder"])
def test_an_index_that_cannot_be_read_or_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    path = index_path(plant(tmp_path, "val/yoga/a.mp4") / "val", tmp_path / "cache")
    if state == "a folder":
        path.mkdir(parents=True)
    else:
        plant(tmp_path, "cache/index-val.jsonl")
        error = PermissionError(EACCES, "Permission denied", str(path))
        monkeypatch.setattr(Path, "read_bytes", Mock(side_effect=error))
        with pytest.raises(BadInput, match=f"cannot read {path}: Permission denied"):
            read_index(tmp_path / "val", tmp_path / "cache")
    with pytest.raises(BadInput, match=f"cannot (read|write) {path}: (Permission|Is a directory)"):
        check_split(tmp_path, "val", tmp_path / "cache", 1)


@pytest.mark.parametrize("csv", ["val.csv", "validate.csv", "annotations/val.csv"])
def test_a_csv_says_which_classes_and_videos_there_are(tmp_path: Path, csv: str) -> None:
    labels = ("petting cat", "petting cat", "zumba", "yoga", "zumba")
    rows = [f'"{label}",{IDS[i]},10,{Path(csv).stem}' for i, label in enumerate(labels)]
    (plant(tmp_path, csv) / csv).write_text("\n".join(["label,youtube_id,time_start,split", *rows]))
    plant(tmp_path, "train/abseiling/a.mp4", "train/zumba/b.mp4")  # a split without a CSV
    plant(tmp_path, f"val/petting_cat/{IDS[0]}.mp4", f"val/zumba/{IDS[2]}_000010_000020.mkv")
    plant(tmp_path, f"val/zumba/{IDS[2]}.mp4", f"val/zumba/{IDS[9]}.mp4", f"val/zumba/{IDS[4]}.webm")
    tree, listed, notes = list_split(tmp_path, "val", 4)
    assert tree.classes == ("abseiling", "petting cat", "yoga", "zumba")
    assert tree.videos == (f"petting_cat/{IDS[0]}.mp4", f"zumba/{IDS[2]}.mp4", f"zumba/{IDS[4]}.webm")
    assert (tree.labels, list_split(tmp_path, "train")[0].labels) == ((1, 3, 3), (0, 3))
    assert listed == 5
    assert [note.split(",")[0] for note in notes] == [
        f"2 of the 5 videos in {Path(csv).name} have no file",
        "2 files are left out",
        "2 of 4 classes have no video in val",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cannot read .*val.csv"),
        ("name,youtube_id\nyoga,abcdefghi-0\n", "cannot read .*'label' once.*; expected a CSV file"),
        ("label,youtube_id\nyoga,#NAME?\n", "val.csv, line 2: .*11 letters.*'#NAME\\?'"),
        ("label,youtube_id\nyoga,abcdefghi-0\nzumba,abcdefghi-0\n", "line 3 calls .*'yoga' and 'zumba'"),
        ("label,youtube_id,split\nyoga,abcdefghi-0,val\nyoga,abcdefghi-1\n", "val.csv, line 3: 2 fields"),
        ("label,youtube_id\n_,abcdefghi-0\n", "val.csv, line 2: the label is empty"),
        ("label,youtube_id,split\nyoga,abcdefghi-0,\n", "val.csv, line 2: the split is empty"),
        ("label,youtube_id\nzumba,abcdefghi-0\n", "abcdefghi-0 is 'zumba', .*/yoga/abcdefghi-0"),
        ("label,youtube_id\nzumba,abcdefghi-9\n", "none of the 1 videos in .* is in .*val.csv"),
        ("label,youtube_id,split\nyoga,abcdefghi-0,train\n", "no row of the split 'val', but train"),
    ],
)
def test_a_csv_of_another_kind_or_tree_is_named(tmp_path: Path, text: str, words: str) -> None:
    plant(tmp_path, f"val/yoga/{IDS[0]}.mp4")
    (tmp_path / "val.csv").write_text(text)
    with pytest.raises(BadInput, match=words):
        list_split(tmp_path, "val")


def opened(root: Path) -> list[str]:
    """The files that `troublesome` opened since the last call."""
    path = root / "opened.txt"
    names = sorted(path.read_text().split())
    path.unlink()
    return names


def test_a_second_check_examines_what_may_have_changed_and_goes_on_where_one_was_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(facts_module, "examine_all", partial(examine_all, examine=troublesome))
    root, cache, good = tmp_path / "root", tmp_path / "cache", film(tmp_path / "good.mp4")
    plant(root, "val/a/fail.mp4", "val/b/empty.mp4")
    plant(root, "val/a/1.mp4", "val/b/2.mp4", "val/b/3.mp4", source=good)
    first = check_split(root, "val", cache, 2, classes=3)
    assert {video: facts.reason for video, facts in first.items() if facts.reason} == {
        "a/fail.mp4": "OSError: the file is out of reach",
        "b/empty.mp4": "the file is empty, no plain file, or a link to nowhere",
    }
    printed = capsys.readouterr().out
    assert "val: 3 of 5 videos (60.0 %) can be used" in printed
    assert "2 classes where the profile says 3" in printed
    assert read_index(root / "val", cache) == first
    assert len(opened(root)) == 5

    film(root / "val/b/3.mp4", rate=25)
    plant(root, "val/a/new.mp4", source=good)
    (root / "val/a/fail.mp4").unlink()
    second = check_split(root, "val", cache, 1)
    assert opened(root) == ["3", "empty", "new"]
    assert second["b/3.mp4"].fps == 25
    assert set(second) == {"a/1.mp4", "a/new.mp4", "b/2.mp4", "b/3.mp4", "b/empty.mp4"}

    path = index_path(root / "val", cache)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"b/3.mp4")])  # killed while it wrote
    assert check_split(root, "val", cache, 1) == second
    assert opened(root) == ["3", "empty"]
    assert path.read_bytes() == content


def facts(video: str, frames: int = 300, fps: float = 30.0, reason: str = "") -> Facts:
    size = {"bytes": 1, "mtime_ns": 1, "width": 64, "height": 48}
    return Facts(video=video, frames=frames, fps=fps, reason=reason, **size)


def test_reasons_that_differ_in_their_numbers_are_counted_together() -> None:
    bad = [facts(f"a/{i}.mp4", reason=f"{width} x 16 pixels") for i, width in enumerate((4000, 160, 90))]
    others = facts("b/1.mp4", reason="it has one frame"), replace(facts("b/2.mp4"), turned=True)
    index = {each.video: each for each in (*bad, *others)}
    counts = [note.split(":")[0] for note in index_notes(index)]
    assert counts == [
        "3 cannot be used, such as a/0.mp4",
        "1 cannot be used, such as b/1.mp4",
        "1 are turned or mirrored, as their files say",
    ]


def test_training_takes_the_usable_videos_of_an_index_and_keeps_class_numbers(tmp_path: Path) -> None:
    plant(tmp_path, "val/a/1.mp4", "val/b/2.mp4", "val/b/3.mp4", "val/c/4.mp4", "val/c/5.mp4")
    videos = [facts("b/2.mp4", 64), facts("b/3.mp4", 1), facts("c/4.mp4", 3, 60), facts("c/5.mp4", 2, 60)]

    def usable(*index: Facts) -> Tree:
        write_atomic(tmp_path / "cache/index-val.jsonl", b"\n".join(map(LINE.dump_json, index)))
        return open_split(tmp_path, "val", tmp_path / "cache", None)[0]

    tree = usable(facts("a/1.mp4", reason="empty"), *videos, facts("gone/6.mp4"))
    assert tree.videos == ("b/2.mp4", "c/4.mp4")  # at 60 frames a second every other one: three at least
    assert (tree.labels, tree.classes) == ((1, 2), ("a", "b", "c"))
    with pytest.raises(BadInput, match=r"none of the 5 videos .* can be used"):
        usable(*(replace(each, reason="empty") for each in (facts("a/1.mp4"), *videos)))
    command = "run `python -m ablations data check` with .*"
    with pytest.raises(BadInput, match=f"1 videos .* checked, such as a/1.mp4; {command}again"):
        usable(*videos)
    write_atomic(tmp_path / "cache/index-val.jsonl", '{"video": 3}')
    with pytest.raises(BadInput, match=f"index-val.jsonl is damaged: .*{command}again"):
        read_index(tmp_path / "val", tmp_path / "cache")
    with pytest.raises(BadInput, match=f"{command}first"):
        read_index(tmp_path / "val", tmp_path / "elsewhere")


def test_of_a_checked_tree_a_run_sees_the_usable_videos(
    real: Profile, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = videos / "cache"
    tree, noted, listed = open_split(videos, "val", cache, 2)
    assert tree.videos == tuple(each.video for each in noted) == ("a/a.mp4", "b/b.mp4")
    assert ([each.fps for each in noted], listed) == ([30, 60], 3)
    dry = replace(real, dry_run=True)
    before = videos_seen(RunSpec(), dry, videos)
    assert before
    assert videos_seen(RunSpec(), real, videos) is None  # of another number of classes
    index = cache / "index-val.jsonl"
    index.write_text(index.read_text().replace('"frames":40', '"frames":1', 1))
    assert videos_seen(RunSpec(), dry, videos) not in (None, before)

    shutil.rmtree(videos / "train")
    check_videos(real, videos, cache, 1)
    printed = capsys.readouterr().out
    assert "val: 1 of 3 videos (33.3 %) can be used" in printed
    assert printed.startswith("layout: Kinetics\n")
    assert f"train: {videos} has no such split" in printed
    for video in tree.videos:
        (videos / "val" / video).write_bytes(b"")
    with pytest.raises(BadInput, match=r"none of the 3 videos .* can be used; their reasons are in"):
        check_videos(real, videos, cache, 1)
    shutil.rmtree(videos / "val")
    with pytest.raises(BadInput, match=r"no layout that is known here.*Kinetics: train/<class>/<video>"):
        check_videos(real, videos, cache, 1)


def test_a_check_of_generated_videos_counts_the_unusable_ones(
    data: Path, smoke: Profile, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    with pytest.raises(BadInput, match="no folder"):
        check_videos(smoke, tmp_path, cache, 1)
    shutil.copytree(data / "smoke", tmp_path / "smoke")
    folders = [tmp_path / "smoke" / split for split in ("train", "test")]
    bad = [path for folder in folders for path in sorted(folder.glob("*/*.mp4"))[3:5]]
    for path in bad:
        path.write_bytes(b"")
    with pytest.raises(BadInput, match=rf"^4 generated videos cannot be used, the first: {bad[2]}: [^\n]*$"):
        check_videos(smoke, tmp_path / "smoke", cache, 1)
    assert "train: 30 of 32" in capfd.readouterr().out


def test_the_digest_of_what_a_run_sees_changes_with_any_video(
    smoke: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "video").write_bytes(b"video")
    videos = [(split, i) for split, number in smoke.generator.videos.items() for i in range(number)]
    names = [f"smoke/{video_path(smoke.generator, *video)}" for video in videos]
    plant(tmp_path, *names, source=tmp_path / "video")
    long = RunSpec(clip="long")  # starts from the short clips' run
    digests = [videos_seen(spec, smoke, tmp_path) for spec in (RunSpec(), long)]
    assert digests == ["3e03a39caee0", "7e2fd9428c15"]
    with monkeypatch.context() as patch:
        patch.setattr(Tree, "scan", None)  # many runs list the same videos once
        assert videos_seen(long, smoke, tmp_path) == digests[1]
    video = tmp_path / names[7]
    video.unlink()
    assert videos_seen(RunSpec(), smoke, tmp_path) is None  # it is incomplete
    video.write_bytes(b"a longer video")
    assert videos_seen(RunSpec(), smoke, tmp_path) not in (None, digests[0])
    shutil.rmtree(tmp_path / "smoke" / "val")
    assert videos_seen(long, smoke, tmp_path) is None
