"""Generated data as files: what is made, kept, mended and refused, for the data of each task."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from nlrepro.config import load_profile
from nlrepro.data.synthetic import drawing
from nlrepro.data.synthetic.drawing import digit_images
from nlrepro.data.synthetic.write import (
    GeneratedSet,
    action_video_set,
    card_video_set,
    scene_set,
    write_dataset,
)
from nlrepro.files import BadInput, exclusive


def card_videos(**changes: Any) -> GeneratedSet:
    settings = load_profile("smoke").generator
    return card_video_set(replace(settings, videos={"train": 4, "val": 3}, **changes))


def action_videos(**changes: Any) -> GeneratedSet:
    settings = load_profile("charades-smoke").actions.generator
    return action_video_set(replace(settings, videos={"train": 4, "val": 1, "test": 1}, **changes))


def scenes(**changes: Any) -> GeneratedSet:
    settings = load_profile("coco-smoke").detection.scenes["boxes"]
    return scene_set(replace(settings, images={"train": 4, "val": 2, "test": 1}, **changes))


Make = Callable[..., GeneratedSet]


@pytest.fixture(params=[card_videos, action_videos, scenes])
def make(request: pytest.FixtureRequest) -> Make:
    return request.param


@pytest.fixture
def dataset(make: Make) -> GeneratedSet:
    return make()


def complete(dataset: GeneratedSet) -> GeneratedSet:
    """The same set, of which nothing can be rendered."""
    return replace(dataset, render=None)


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def times(root: Path) -> dict[str, int]:
    return {file: (root / file).stat().st_mtime_ns for file in contents(root)}


def test_what_is_missing_or_damaged_is_made_and_the_rest_kept(
    dataset: GeneratedSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "set"
    write_dataset(dataset, root)
    before, files = times(root), contents(root)
    tables = {*dataset.tables("train", ()), *dataset.tables("val", ())}
    notes = {dataset.note, *(f"checksums_{split}.json" for split in dataset.counts)}
    items = {dataset.path(split, i) for split, number in dataset.counts.items() for i in range(number)}
    assert {*files} - {*dataset.tables("test", ())} == items | tables | notes
    write_dataset(complete(dataset), root)
    assert times(root) == before

    paths = [dataset.path("train", index) for index in range(4)]
    (root / paths[0]).unlink()
    (root / paths[1]).write_bytes(b"")  # as a loss of power leaves it
    (root / paths[2]).write_bytes(files[paths[2]][:-9])
    (root / paths[0]).with_name("stranger.txt").write_bytes(b"")
    for table in tables & {*dataset.tables("val", ())}:
        (root / table).write_text("{")
    (root / "checksums_val.json").write_text("{")
    capsys.readouterr()
    write_dataset(dataset, root)
    assert f"2 files of train in {root} are damaged and made anew" in capsys.readouterr().out
    (root / paths[0]).with_name("stranger.txt").unlink()
    assert contents(root) == files
    assert all(times(root)[kept] == before[kept] for kept in (paths[3], dataset.note))


def test_a_folder_that_was_cut_off_has_no_tables_and_is_completed(
    dataset: GeneratedSet, tmp_path: Path
) -> None:
    root, paths = tmp_path / "set", [dataset.path("train", index) for index in range(4)]

    def cut_off(split: str, index: int) -> tuple[bytes, object]:
        if dataset.path(split, index) == paths[2]:
            raise KeyboardInterrupt
        return dataset.render(split, index)

    with pytest.raises(KeyboardInterrupt):
        write_dataset(replace(dataset, render=cut_off), root)
    before = contents(root)
    assert {*before} == {dataset.note, *paths[:2]}
    write_dataset(dataset, root)
    assert before.items() <= contents(root).items()
    assert {*dataset.tables("val", ())} <= {*contents(root)}


def test_other_settings_and_real_data_are_refused(dataset: GeneratedSet, tmp_path: Path) -> None:
    root = tmp_path / "set"
    few = replace(dataset, counts={"train": 1})
    write_dataset(few, root)
    before = times(root)
    with pytest.raises(BadInput, match=f"{root} holds {few.unit} of other settings, .*; remove that folder"):
        write_dataset(replace(few, settings={**few.settings, "noise": 9.0}), root)
    (root / few.note).unlink()
    with pytest.raises(BadInput, match="no generated ones"):
        write_dataset(few, root)
    del before[few.note]
    assert times(root) == before


def test_a_second_process_waits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "set"
    second = Thread(target=write_dataset, args=(replace(scenes(), counts={"val": 1}), root))
    with exclusive(tmp_path / ".set.lock", "holds it"):
        second.start()
        second.join(0.5)
        assert second.is_alive()
        assert not root.exists()
    second.join(60)
    assert "waiting: another process makes the images in" in capsys.readouterr().out
    assert (root / "annotations/instances_val2017.json").is_file()


def test_an_item_is_a_function_of_settings_split_and_index_in_any_process(make: Make) -> None:
    dataset = make()
    item = dataset.render("train", 0)
    assert pickle.loads(pickle.dumps(dataset)).render("train", 0) == item
    others = dataset.render("train", 1), dataset.render("val", 0), make(seed=99).render("train", 0)
    assert all(content != item[0] for content, _ in others)


def test_no_handwriting_of_one_split_is_in_another(
    dataset: GeneratedSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = [{image.tobytes() for image in digit_images(3, fold, 8)} for fold in ("train", "val", "test")]
    assert len(set.union(*splits)) == sum(map(len, splits))
    folds = set()
    monkeypatch.setattr(drawing, "digit_images", lambda *args: folds.add(args[1]) or digit_images(*args))
    dataset.render("val", 0)
    assert folds == {"val"}


@pytest.mark.rare  # two processes, each of which imports torch
def test_several_processes_make_the_same_files(tmp_path: Path) -> None:
    for jobs in (1, 2):
        write_dataset(scenes(), tmp_path / str(jobs), jobs)
    assert contents(tmp_path / "1") == contents(tmp_path / "2")
