"""Real video trees: what belongs to a split, what each file is, and that no file can stop a check."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from films import audio, film
from touchy import process, touchy

from ablations.__main__ import main
from nlrepro.config import Profile, load_profile
from nlrepro.data.decoding import frames
from nlrepro.data.kinetics.facts import Facts, examine, frame_step
from nlrepro.data.kinetics.index import index_path, read_index, usable, write_index
from nlrepro.data.kinetics.listing import listing
from nlrepro.data.kinetics.survey import known_before, oddities, splits, survey, survey_split
from nlrepro.data.kinetics.watched import watched
from nlrepro.data.videos import Tree
from nlrepro.files import BadInput
from nlrepro.record import Count

IDS = [f"abcdefghi-{i}" for i in range(10)]
UPRIGHT_FROM_QUARTER = (0, 1, -1, 0)  # the display matrix of a video that is turned clockwise before it is shown


def turned(mp4: bytes, matrix: tuple[int, int, int, int]) -> bytes:
    """The file with another display matrix in its track header: 16.16 numbers a, b, 0, c, d, 0, x, y and 1 as 2.30."""
    a, b, c, d = matrix
    numbers = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]
    at = mp4.index(b"tkhd") + 4 + 40
    return mp4[:at] + b"".join(n.to_bytes(4, "big", signed=True) for n in numbers) + mp4[at + 36 :]


def halved(mp4: bytes) -> bytes:
    """The file with an edit list that shows its first half: the sample table goes on promising all frames."""
    at = mp4.index(b"elst") + 12
    half = int.from_bytes(mp4[at : at + 4], "big") // 2
    return mp4[:at] + half.to_bytes(4, "big") + mp4[at + 4 :]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file of each kind that can be used."""
    folder = tmp_path_factory.mktemp("good")
    film(folder / "h264.mp4")
    film(folder / "h264-60.mp4", rate=60)
    film(folder / "h264-25.mkv", rate=25)
    film(folder / "vp8.webm", "libvpx", rate=25)
    film(folder / "vp9.webm", "libvpx-vp9", rate=25, size=(51, 37))
    film(folder / "mpeg4.avi", "mpeg4", size=(51, 37))
    film(folder / "mpeg4.mkv", "mpeg4", rate=25)
    steps = np.cumsum([80 if i % 3 == 0 else 20 for i in range(40)])
    film(folder / "uneven.mp4", times=steps.tolist())
    film(folder / "uneven.mkv", times=steps.tolist())
    (folder / "turned.mp4").write_bytes(turned((folder / "h264.mp4").read_bytes(), UPRIGHT_FROM_QUARTER))
    return folder


@pytest.mark.parametrize(
    ("name", "fps", "size", "tolerance"),
    [
        ("h264.mp4", 30, (64, 48), 1e-3),
        ("h264-60.mp4", 60, (64, 48), 1e-2),
        ("h264-25.mkv", 25, (64, 48), 1e-3),
        ("vp8.webm", 25, (64, 48), 0.05),
        ("vp9.webm", 25, (51, 37), 0.05),
        ("mpeg4.avi", 30, (51, 37), 1e-3),
        ("mpeg4.mkv", 25, (64, 48), 1e-3),
    ],
)
def test_codecs_containers_rates_and_odd_sizes_are_read(
    good: Path, name: str, fps: int, size: tuple[int, int], tolerance: float
) -> None:
    facts = examine(good, name)
    assert facts.reason == ""
    assert (facts.frames, facts.width, facts.height, facts.rotation, facts.variable) == (40, *size, 0, False)
    assert facts.fps == pytest.approx(fps, abs=tolerance)
    assert facts.seconds == pytest.approx(40 / fps, abs=0.01)
    assert (facts.bytes, facts.mtime_ns) == ((good / name).stat().st_size, (good / name).stat().st_mtime_ns)


@pytest.mark.parametrize("name", ["uneven.mp4", "uneven.mkv"])
def test_a_variable_rate_is_noted_and_its_mean_measured(good: Path, name: str) -> None:
    facts = examine(good, name)
    assert (facts.reason, facts.variable, facts.frames) == ("", True, 40)
    assert facts.fps == pytest.approx(25, abs=1)  # of Matroska decord itself says 30


def test_a_rotated_video_has_the_size_that_it_is_shown_at(good: Path) -> None:
    facts = examine(good, "turned.mp4")
    assert (facts.reason, facts.width, facts.height, facts.rotation) == ("", 48, 64, 270)


def test_decord_turns_a_rotated_video_when_a_size_is_asked_for(good: Path) -> None:
    decord = pytest.importorskip("decord")
    frame = decord.VideoReader(str(good / "turned.mp4"), width=50, height=64)[0].asnumpy().astype(int)
    assert frame.shape == (64, 50, 3)
    red = frame[..., 0] - frame[..., 1] > 100
    assert red[:, -10:].all()  # what was above is at the right
    assert not red[:, :25].any()


def broken(good: Path) -> dict[str, tuple[bytes, str]]:
    """Content and reason of each kind of file that cannot be used."""
    whole = (good / "h264.mp4").read_bytes()
    first = film(good.parent / "front" / "first.mp4", movflags="faststart").read_bytes()
    one = film(good.parent / "one" / "one.mp4", frames=1).read_bytes()
    return {
        "empty.mp4": (b"", "is empty"),
        "text.mp4": (b"not a video\n" * 50, "not a video"),
        "noise.mkv": (np.random.default_rng(0).bytes(5000), "not a video"),
        "sound.mp4": (audio(), "no video stream"),
        "one.mp4": (one, "one frame"),
        "truncated.mp4": (whole[: len(whole) // 2], "cut off"),
        "front.mp4": (first[: -len(first) // 4], "cut off"),
        "truncated.avi": ((good / "mpeg4.avi").read_bytes()[:3000], "cut off"),
    }


def test_each_kind_of_broken_file_has_its_reason(good: Path, tmp_path: Path) -> None:
    for name, (content, words) in broken(good).items():
        (tmp_path / name).write_bytes(content)
        facts = examine(tmp_path, name)
        assert words in facts.reason, (name, facts)
        assert "\n" not in facts.reason
    (tmp_path / "link.mp4").symlink_to(tmp_path / "nowhere")
    assert "link to nowhere" in examine(tmp_path, "link.mp4").reason


@pytest.mark.parametrize("size", [(8, 90), (160, 2), (16, 396), (400, 16), (1160, 144), (14, 14)])
def test_videos_whose_clips_would_grow_to_gigabytes_are_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    film(tmp_path / "a.mp4", "mpeg4", size=size, frames=3)
    facts = examine(tmp_path, "a.mp4")
    assert facts.reason.startswith(f"{size[0]} x {size[1]} pixels: the shorter side must have 16 or more")
    assert "at most 8 times as many" in facts.reason
    assert not facts.serves(2)


@pytest.mark.parametrize("size", [(176, 144), (96, 224), (384, 160), (512, 144), (16, 16), (128, 16)])
def test_videos_of_any_shape_that_is_filmed_are_kept(tmp_path: Path, size: tuple[int, int]) -> None:
    film(tmp_path / "a.mp4", "mpeg4", size=size, frames=3)
    assert examine(tmp_path, "a.mp4").reason == ""


def test_reasons_that_differ_in_their_numbers_are_one_line() -> None:
    sizes = ((4000, 16), (90, 1), (160, 2))
    bad = {f"a/{i}.mp4": facts(f"a/{i}.mp4", reason=f"{w} x {h} pixels: too long") for i, (w, h) in enumerate(sizes)}
    index = bad | {"b/1.mp4": facts("b/1.mp4", reason="it has one frame"), "b/2.mp4": facts("b/2.mp4")}
    assert list(oddities(index)) == [
        "3 cannot be used, such as a/0.mp4: 4000 x 16 pixels: too long",
        "1 cannot be used, such as b/1.mp4: it has one frame",
    ]


def test_what_an_older_check_let_through_is_looked_at_again(tmp_path: Path) -> None:
    found = {name: replace(facts(name), width=width) for name, width in (("a/1.mp4", 64), ("a/2.mp4", 4000))}
    write_index(tmp_path / "index-val.jsonl", found)
    assert list(known_before(tmp_path / "index-val.jsonl", tmp_path / "index-val.journal")) == ["a/1.mp4"]


def test_frames_that_a_file_has_and_does_not_show_do_not_count(good: Path, tmp_path: Path) -> None:
    (tmp_path / "half.mp4").write_bytes(halved((good / "h264.mp4").read_bytes()))
    facts = examine(tmp_path, "half.mp4")
    assert (facts.reason, facts.frames, facts.fps) == ("", 21, 30.0)  # 667 ms
    clip = [14, 16, 18, 19]
    assert np.array_equal(frames(tmp_path / "half.mp4", clip, 64, 48), frames(good / "h264.mp4", clip, 64, 48))


def test_a_matroska_file_that_was_cut_off_is_as_long_as_what_it_holds(good: Path, tmp_path: Path) -> None:
    whole = (good / "mpeg4.mkv").read_bytes()
    (tmp_path / "half.mkv").write_bytes(whole[: len(whole) // 2])
    facts = examine(tmp_path, "half.mkv")
    assert facts.reason == ""
    assert 5 < facts.frames < 30
    assert facts.seconds == pytest.approx(facts.frames / 25, abs=0.02)


@pytest.mark.parametrize(
    ("fps", "step"), [(12, 1), (23.976, 1), (24, 1), (25, 1), (29.97, 1), (30, 1), (50, 2), (59.94, 2), (60, 2), (120, 4)]
)
def test_clips_keep_about_the_papers_time(fps: float, step: int) -> None:
    assert frame_step(fps) == step


def test_a_count_reads_as_it_stands_under_a_table() -> None:
    assert str(Count(usable=19402, listed=19761)) == "19,402 of 19,761 videos (98.2 %)"
    assert str(Count(usable=19760, listed=19761)) == "19,760 of 19,761 videos (99.9 %)"
    assert str(Count(usable=20, listed=20)) == "20 of 20 videos (100.0 %)"
    assert Count(usable=0, listed=0).percent == 0


def plant(root: Path, *videos: str, source: Path | None = None) -> Path:
    """Files at `<split>/<class>/<name>` below root: copies of a video, or empty."""
    for video in videos:
        path = root / video
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.read_bytes() if source else b"")
    return root


def annotate(path: Path, rows: dict[str, str], split: str = "") -> None:
    """A CSV as Kinetics': youtube id -> label."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f'"{label}",{identity},10,20,{split or path.stem}' for identity, label in rows.items()]
    path.write_text("\n".join(["label,youtube_id,time_start,time_end,split", *lines]) + "\n")


def test_any_folder_of_class_folders_is_a_tree(tmp_path: Path) -> None:
    plant(tmp_path, "train/Surf/v_b.avi", "train/Archery/v_a.avi", "train/Surf/v_a.AVI", "train/Surf/notes.txt")
    plant(tmp_path, "train/.cache/x.mp4", "train/Surf/.half.mp4")
    found = listing(tmp_path, "train", 2)
    assert found.tree.classes == ("Archery", "Surf")
    assert found.tree.videos == ("Archery/v_a.avi", "Surf/v_a.AVI", "Surf/v_b.avi")
    assert found.tree.labels == (0, 1, 1)
    assert (found.listed, found.notes) == (3, ())


def test_a_tree_as_the_generated_ones_is_listed_as_it_was(tmp_path: Path) -> None:
    plant(tmp_path, *[f"train/{name}/{i:05d}.mp4" for name in ("7-left", "3", "7-right", "0") for i in range(3)])
    assert listing(tmp_path, "train", 4).tree == Tree.index(tmp_path / "train", 4)


def test_a_class_has_one_number_in_all_splits_and_spellings(tmp_path: Path) -> None:
    plant(tmp_path, "train/petting_cat/a.mp4", "train/petting cat/b.mp4", "train/abseiling/c.mp4", "train/zumba/d.mp4")
    plant(tmp_path, "val/zumba/e.mp4", "val/petting cat/f.mp4")
    train, val = listing(tmp_path, "train"), listing(tmp_path, "val")
    assert train.tree.classes == val.tree.classes == ("abseiling", "petting cat", "zumba")
    assert dict(zip(train.tree.videos, train.tree.labels, strict=True))["petting_cat/a.mp4"] == 1
    assert val.tree.labels == (1, 2)
    assert val.notes == ("1 of 3 classes have no video in val, such as ['abseiling']",)


def test_a_class_has_one_number_when_only_one_split_has_a_csv(tmp_path: Path) -> None:
    annotate(tmp_path / "val.csv", {IDS[0]: "abseiling", IDS[1]: "yoga"})
    plant(tmp_path, "train/yoga/a.mp4", "train/zumba/b.mp4", f"val/yoga/{IDS[1]}.mp4")
    train, val = listing(tmp_path, "train"), listing(tmp_path, "val")
    assert train.tree.classes == val.tree.classes == ("abseiling", "yoga", "zumba")
    assert (train.tree.labels, val.tree.labels) == ((1, 2), (1,))


@pytest.mark.parametrize("csv", ["val.csv", "validate.csv", "annotations/val.csv"])
def test_a_csv_says_which_classes_and_videos_there_are(tmp_path: Path, csv: str) -> None:
    rows = {IDS[0]: "petting cat", IDS[1]: "petting cat", IDS[2]: "zumba", IDS[3]: "yoga", IDS[4]: "zumba"}
    annotate(tmp_path / csv, rows, Path(csv).stem)
    annotate(tmp_path / "train.csv", {IDS[5]: "abseiling"})
    plant(tmp_path, f"val/petting_cat/{IDS[0]}.mp4", f"val/zumba/{IDS[2]}_000010_000020.mkv", f"val/zumba/{IDS[2]}.mp4")
    plant(tmp_path, f"val/zumba/{IDS[9]}.mp4", f"val/zumba/{IDS[4]}.webm")
    found = listing(tmp_path, "val", 4)
    assert found.tree.classes == ("abseiling", "petting cat", "yoga", "zumba")
    assert found.tree.videos == (f"petting_cat/{IDS[0]}.mp4", f"zumba/{IDS[2]}.mp4", f"zumba/{IDS[4]}.webm")
    assert found.tree.labels == (1, 3, 3)
    assert found.listed == 5
    assert [note.split(",")[0] for note in found.notes] == [
        f"2 of the 5 videos in {Path(csv).name} have no file",
        f"1 files are not in {Path(csv).name} and are left out",
        "1 files are of a video that has another file and are left out",
        "2 of 4 classes have no video in val",
    ]


def test_videos_with_the_ending_of_another_container_are_read_as_what_they_are(good: Path, tmp_path: Path) -> None:
    for name, other in (("vp9.webm", "vp9.mp4"), ("h264.mp4", "h264.avi"), ("mpeg4.mkv", "with spaces, \u00fcml\u00e4uts.webm")):
        shutil.copy(good / name, tmp_path / other)
        facts = examine(tmp_path, other)
        assert (facts.reason, facts.frames) == ("", 40), other


def test_videos_whose_names_are_no_ids_of_the_csv_are_left_out_and_named(tmp_path: Path) -> None:
    annotate(tmp_path / "val.csv", {IDS[0]: "yoga", IDS[1]: "yoga"})
    plant(tmp_path, f"val/yoga/{IDS[0]}.mp4", f"val/yoga/video_{IDS[1]}.mp4", "val/yoga/1.mp4", f"val/yoga/{IDS[1]}.mp4.part")
    found = listing(tmp_path, "val")
    assert found.tree.videos == (f"yoga/{IDS[0]}.mp4",)
    assert (found.listed, len(found.notes)) == (2, 2)
    assert found.notes[0] == "1 of the 2 videos in val.csv have no file"
    assert found.notes[1].startswith("2 files are not in val.csv and are left out, such as ['yoga/1.mp4']")
    (tmp_path / "val" / "yoga" / f"{IDS[0]}.mp4").unlink()
    with pytest.raises(BadInput, match="no videos in"):
        listing(tmp_path, "val")


def test_a_csv_that_contradicts_the_tree_is_refused(tmp_path: Path) -> None:
    annotate(tmp_path / "val.csv", {IDS[0]: "yoga", IDS[1]: "zumba"})
    plant(tmp_path, f"val/zumba/{IDS[0]}.mp4", f"val/zumba/{IDS[1]}.mp4")
    with pytest.raises(BadInput, match=rf"val.csv says that {IDS[0]} is 'yoga', but its file is .*zumba/{IDS[0]}.mp4"):
        listing(tmp_path, "val")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cannot read .*val.csv"),
        ("name,youtube_id\nyoga,abcdefghi-0\n", "lacks the column label; expected label, youtube_id, got name, youtube_id"),
        ("label,youtube_id\nyoga,#NAME?\n", "11 letters.*'#NAME\\?'"),
        ("label,youtube_id\nyoga,abcdefghi-0\nzumba,abcdefghi-0\n", "calls abcdefghi-0 both 'yoga' and 'zumba'"),
        ("label,youtube_id,split\nyoga,abcdefghi-0,train\n", "no row of the split 'val', but train"),
        ('label,youtube_id\n"yoga,abcdefghi-0\n', "cannot read .*val.csv"),
    ],
)
def test_a_csv_of_another_kind_is_named_with_what_is_expected(tmp_path: Path, text: str, words: str) -> None:
    plant(tmp_path, f"val/yoga/{IDS[0]}.mp4")
    (tmp_path / "val.csv").write_text(text)
    with pytest.raises(BadInput, match=words):
        listing(tmp_path, "val")


def test_a_wrong_tree_is_named_with_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no folder .*/val; expected .*/val/<class>/<video>"):
        listing(tmp_path, "val")
    plant(tmp_path, "val/yoga/readme.txt", "train/yoga/a.mp4")
    with pytest.raises(BadInput, match="no videos in"):
        listing(tmp_path, "val")
    with pytest.raises(BadInput, match="1 classes where the profile says 400"):
        listing(tmp_path, "train", 400)


def opened(root: Path) -> list[str]:
    """What `touchy` opened since the last call."""
    path = root / "opened.txt"
    names = sorted(path.read_text().split()) if path.exists() else []
    path.unlink(missing_ok=True)
    return names


def test_no_file_stops_a_check_and_a_second_one_looks_at_what_may_have_changed(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, cache = tmp_path / "root", tmp_path / "cache"
    plant(root, "val/a/hang.mp4", "val/a/die.mp4", "val/b/fail.mp4", "val/b/empty.mp4")
    plant(root, "val/a/1.mp4", "val/b/2.mp4", "val/b/3.mp4", source=good / "h264.mp4")
    first = survey_split(root, "val", cache, 2, classes=3, look=touchy, limit=0.5)
    assert {video: facts.reason for video, facts in first.items() if facts.reason} == {
        "a/die.mp4": "the process that read it died with status 7",
        "a/hang.mp4": "timed out after 0.5 seconds",
        "b/fail.mp4": "OSError: the disk is gone",
        "b/empty.mp4": "the file is empty, or a link to nowhere",
    }
    printed = capsys.readouterr().out
    assert "val: 3 of 7 videos (42.9 %) can be used" in printed
    assert "1 cannot be used, such as a/hang.mp4: timed out after 0.5 seconds" in printed
    assert "2 classes where the profile says 3" in printed
    assert read_index(root, "val", cache) == first
    assert len(opened(root)) == 7

    shutil.copy(good / "h264-25.mkv", root / "val/b/3.mp4")
    plant(root, "val/a/new.mp4", source=good / "h264.mp4")
    for name in ("a/hang", "a/die"):
        (root / f"val/{name}.mp4").unlink()
    second = survey_split(root, "val", cache, 1, look=touchy)
    assert opened(root) == ["3", "empty", "fail", "new"]
    assert second["b/3.mp4"].fps == 25
    assert set(second) == {"a/1.mp4", "a/new.mp4", "b/2.mp4", "b/3.mp4", "b/empty.mp4", "b/fail.mp4"}


def test_a_process_is_replaced_before_it_grows(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nlrepro.data.kinetics.watched.LIFE", 2)
    plant(tmp_path, *[f"val/a/{i}.mp4" for i in range(5)], source=good / "h264.mp4")
    processes = dict(watched(process, range(5), 1, 2.0))
    assert sorted(list(processes.values()).count(p) for p in set(processes.values())) == [1, 2, 2]
    assert len(survey_split(tmp_path, "val", tmp_path / "cache", 1)) == 5


def test_a_check_that_was_cut_off_goes_on_where_it_was(good: Path, tmp_path: Path) -> None:
    root = plant(tmp_path, *[f"val/a/{i}.mp4" for i in range(4)], source=good / "h264.mp4")
    whole = survey_split(root, "val", tmp_path / "cache", 1, look=touchy)
    opened(root)
    path = index_path(root, "val", tmp_path / "cache")
    lines = path.read_bytes().splitlines(keepends=True)
    journal = path.with_suffix(".journal")
    journal.write_bytes(b"".join(lines[:2]) + lines[2][:20])  # killed while it wrote
    path.unlink()
    assert survey_split(root, "val", tmp_path / "cache", 1, look=touchy) == whole
    assert opened(root) == ["2", "3"]
    assert not journal.exists()


def test_the_index_of_a_tree_that_cannot_be_written_stands_in_the_cache(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, cache = plant(tmp_path / "root", "val/a/1.mp4", source=good / "h264.mp4"), tmp_path / "cache"
    monkeypatch.setattr("nlrepro.data.kinetics.index.os.access", lambda path, mode: False)
    index = survey_split(root, "val", cache, 1)
    assert read_index(root, "val", cache) == index
    assert [path.name for path in root.iterdir()] == ["val"]
    assert len(list(cache.iterdir())) == 1


def facts(video: str, frames: int = 300, fps: float = 30.0, reason: str = "") -> Facts:
    return Facts(video=video, bytes=1, mtime_ns=1, frames=frames, fps=fps, seconds=10, width=64, height=48, reason=reason)


def test_training_takes_the_usable_videos_and_keeps_class_numbers(tmp_path: Path) -> None:
    plant(tmp_path, "val/a/1.mp4", "val/b/2.mp4", "val/b/3.mp4", "val/c/4.mp4", "val/c/5.mp4")
    tree = listing(tmp_path, "val").tree
    found = [facts("a/1.mp4", reason="empty"), facts("b/2.mp4", 64), facts("b/3.mp4", 63), facts("c/4.mp4", 126, 60)]
    index = {f.video: f for f in (*found, facts("c/5.mp4", 127, 60), facts("gone/6.mp4"))}
    assert usable(tree, index).videos == ("b/2.mp4", "b/3.mp4", "c/4.mp4", "c/5.mp4")
    kept = usable(tree, index, frames=64)  # at 60 frames a second every other one: 127 at least
    assert (kept.videos, kept.labels, kept.classes) == (("b/2.mp4", "c/5.mp4"), (1, 2), ("a", "b", "c"))
    with pytest.raises(BadInput, match=r"none of the 5 videos .* 301 frames"):
        usable(tree, index, frames=301)
    del index["b/3.mp4"]
    with pytest.raises(
        BadInput,
        match=r"1 videos .* not been checked, such as b/3.mp4; run `python -m ablations data check --profile paper --data ",
    ):
        usable(tree, index)


def test_without_an_index_the_error_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=rf"run `python -m ablations data check --profile paper --data {tmp_path}` .* first"):
        read_index(tmp_path, "val", tmp_path / "cache")
    (tmp_path / "index-val.jsonl").write_text('{"video": 3}\n')
    with pytest.raises(
        BadInput, match=r"index-val.jsonl is damaged: .*remove it and run `python -m ablations data check .* again"
    ):
        read_index(tmp_path, "val", tmp_path / "cache")


def test_data_check_of_the_paper_profile_counts_what_can_be_used(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path
    for split in ("train", "val"):
        plant(root, f"{split}/yoga/{IDS[0]}.mp4", f"{split}/zumba/{IDS[1]}.mp4", source=good / "h264.mp4")
    plant(root, f"val/zumba/{IDS[2]}.mp4")
    assert main(["data", "check", "--profile", "paper", "--data", str(tmp_path), "--jobs", "1"]) == 0
    printed = capsys.readouterr().out
    assert "train: 2 of 2 videos (100.0 %) can be used" in printed
    assert "val: 2 of 3 videos (66.7 %) can be used" in printed
    entry = json.loads((root / "index-train.jsonl").read_text().splitlines()[0])
    assert (entry["video"], entry["frames"], entry["fps"]) == (f"yoga/{IDS[0]}.mp4", 40, 30.0)


def test_validation_videos_alone_are_checked(
    tmp_path: Path, real: Profile, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (videos / "train").rename(tmp_path / "elsewhere")
    (videos / "index-val.jsonl").unlink()
    survey(real, videos, tmp_path / "cache", 1)
    shown = capsys.readouterr().out
    assert "val: 2 of 3 videos (66.7 %) can be used" in shown
    assert f"train: there is no folder {videos / 'train'}; what needs it, such as training, cannot be done" in shown
    (videos / "val").rename(tmp_path / "val")
    with pytest.raises(BadInput, match=r"no folder .*train; expected"):
        survey(real, videos, tmp_path / "cache", 1)


def test_a_tree_without_any_usable_video_fails_the_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plant(tmp_path, "train/a/1.mp4", "val/a/1.mp4")
    assert main(["data", "check", "--profile", "paper", "--data", str(tmp_path), "--jobs", "1"]) == 2
    assert "none of the 1 videos" in capsys.readouterr().err


def test_the_paper_reads_train_and_val() -> None:
    assert splits(load_profile("paper")) == {"train": 400, "val": 400}
