"""Records: what is written is read back, damage is named, and a fingerprint changes with what the result depends on."""

import json
import os
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from nlrepro import record as records
from nlrepro.config import Profile
from nlrepro.files import BadInput, write_atomic
from nlrepro.record import Cost, Metrics, Point, Provenance, Record, digest, fingerprint, settings
from nlrepro.run import Run
from nlrepro.spec import NetSpec, RunSpec

SHORT = RunSpec(net=NetSpec(blocks="res4", form="dot"))
LONG = RunSpec(net=SHORT.net, clip="long")


@pytest.fixture
def record(smoke: Profile) -> Record:
    return Record(
        key=SHORT.key,
        profile="smoke",
        seed=3,
        tables=("2a", "2b"),
        spec=SHORT,
        fingerprint=fingerprint(SHORT, smoke),
        settings=settings(SHORT, smoke),
        metrics=Metrics(top1=100 / 3, top5=200 / 3, loss=1.25e-3, videos=3, views=2, ranks="019"),
        curve=(Point(step=2, train_loss=0.1 + 0.2, val_top1=0.0), Point(step=4, train_loss=1.0, val_top1=100.0)),
        cost=Cost(params=10, macs=10**12),
        made=Provenance(date="2024-01-01", git="abc", versions={"torch": "2"}, device="cpu", seconds=1.5),
    )


def test_a_record_is_read_back_as_it_was_written(record: Record, tmp_path: Path) -> None:
    path = records.write(record, tmp_path)
    assert path == tmp_path / "records" / "smoke" / SHORT.key / "seed3.json"
    assert records.read(path) == record
    assert records.read_all(tmp_path, "smoke") == [record]
    assert records.read_all(tmp_path, "mini") == []


def test_a_records_settings_are_what_its_fingerprint_is_of(record: Record, smoke: Profile, tmp_path: Path) -> None:
    """In words that people read, the parent's too."""
    found = records.read(records.write(record, tmp_path))
    assert digest(found.settings) == found.fingerprint
    assert found.settings["recipe"]["lr"] == smoke.recipes["short"].lr
    assert found.settings["clips"]["frames"] == smoke.clips["short"].frames
    assert found.settings["net"]["stage_strides"] == [*smoke.geometry.stage_strides]
    assert found.settings["spec"]["net"]["form"] == "dot"
    assert settings(LONG, smoke)["parent"] == found.settings


def test_a_record_without_settings_is_stale_not_damaged(record: Record, smoke: Profile, tmp_path: Path) -> None:
    path = records.write(replace(record, fingerprint="of an earlier version"), tmp_path)
    path.write_text(json.dumps({name: value for name, value in json.loads(path.read_text()).items() if name != "settings"}))
    assert records.read(path).settings == {}
    assert not Run(spec=SHORT, profile=smoke, seed=0).is_fresh(records.read(path))


def test_records_come_by_key_and_seed(record: Record, tmp_path: Path) -> None:
    for key, seed in (("b", 1), ("a", 2), ("b", 0)):
        records.write(replace(record, key=key, seed=seed), tmp_path)
    assert [(r.key, r.seed) for r in records.read_all(tmp_path, "smoke")] == [("a", 2), ("b", 0), ("b", 1)]


def test_a_damaged_record_is_named_in_one_line(record: Record, tmp_path: Path) -> None:
    path = records.write(record, tmp_path)
    whole = path.read_text()
    data = json.loads(whole)
    damaged = {
        "empty": "",
        "cut off": whole[: len(whole) // 2],
        "a field is missing": json.dumps({name: value for name, value in data.items() if name != "metrics"}),
        "a field is unknown": json.dumps(data | {"topp1": 3}),
        "a field of the wrong type": json.dumps(data | {"seed": "three"}),
        "not an object": "[]",
        "not text": "\udcff\udcfe",
    }
    for what, text in damaged.items():
        path.write_text(text, errors="surrogateescape")
        with pytest.raises(BadInput) as caught:
            records.read(path)
        assert f"the record {path} is damaged" in str(caught.value), what
        assert len(str(caught.value).splitlines()) == 1, what


def changed(value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, tuple):
        return (*value, 1)
    return 1.0 if value is None else f"{value}-other"


def other(thing: Any, name: str) -> Any:
    """A copy with one field changed."""
    allowed = {
        "adamw": "sgd",
        "sgd": "adamw",
        "one-cycle": "steps",
        "steps": "one-cycle",
        "32-true": "bf16-mixed",
        "text": "release",
    }
    value = getattr(thing, name)
    new = allowed[value] if isinstance(value, str) and value in allowed else changed(value)
    if name == "warmup":
        new = value / 2
    if name in ("stem_kernel", "stem_stride", "pool1_kernel", "pool1_stride", "stage_strides", "shown"):
        new = (value[0] + 1, *value[1:])
    return replace(thing, **{name: {**value, min(value): 1} if isinstance(value, dict) else new})


@pytest.mark.parametrize("kind", ["short", "long"])
@pytest.mark.parametrize("part", ["recipes", "clips"])
def test_a_fingerprint_changes_with_its_own_and_its_parents_recipe_and_clips(smoke: Profile, kind: Any, part: str) -> None:
    whole = getattr(smoke, part)
    for field in fields(whole[kind]):
        profile = replace(smoke, **{part: {**whole, kind: other(whole[kind], field.name)}})
        assert fingerprint(LONG, profile) != fingerprint(LONG, smoke), field.name


@pytest.mark.parametrize("part", ["geometry", "data", "generator"])
def test_a_fingerprint_changes_with_net_data_and_generator(smoke: Profile, part: str) -> None:
    whole = getattr(smoke, part)
    for field in fields(whole):
        profile = replace(smoke, **{part: other(whole, field.name)})
        assert fingerprint(SHORT, profile) != fingerprint(SHORT, smoke), field.name


def test_a_fingerprint_does_not_change_with_what_other_runs_depend_on(smoke: Profile) -> None:
    for part, name in (("recipes", "lr"), ("clips", "stride")):
        whole = getattr(smoke, part)
        profile = replace(smoke, **{part: {**whole, "long": other(whole["long"], name)}})
        assert fingerprint(SHORT, profile) == fingerprint(SHORT, smoke)
        assert fingerprint(LONG, profile) != fingerprint(LONG, smoke)


def test_specs_have_fingerprints_of_their_own(smoke: Profile) -> None:
    specs = [SHORT, LONG, RunSpec(), RunSpec(net=replace(SHORT.net, form="gaussian"))]
    assert len({fingerprint(spec, smoke) for spec in specs}) == len(specs)


def test_a_record_is_fresh_until_the_profile_changes(record: Record, smoke: Profile) -> None:
    run = Run(spec=SHORT, profile=smoke, seed=0)
    assert run.is_fresh(record)
    recipes = {**smoke.recipes, "short": replace(smoke.recipes["short"], lr=1.0)}
    assert not replace(run, profile=replace(smoke, recipes=recipes)).is_fresh(record)


def test_a_failed_move_keeps_the_old_file_and_leaves_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.txt"
    write_atomic(path, "old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(BadInput, match=r"cannot write .*file.txt: No space left on device"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_keeps_the_old_file_and_leaves_no_other(tmp_path: Path) -> None:
    """A real failure in the middle of writing: files may not grow beyond 1,000 bytes."""
    path = tmp_path / "file.txt"
    write_atomic(path, "old")
    program = f"""
import resource
from pathlib import Path
from nlrepro.files import BadInput
from nlrepro.files import write_atomic
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
for size in (2_000, 200_000):
    try:
        write_atomic(Path({str(path)!r}), "n" * size)
    except BadInput as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent
    )
    assert done.stdout.count("cannot write") == 2, done
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"cannot write .*below.txt"):
        write_atomic(tmp_path / "file" / "below.txt", "new")


def test_text_is_written_as_utf_8_and_readable_by_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    write_atomic(path, "±")
    assert path.read_bytes() == "±".encode()
    assert path.stat().st_mode & 0o777 == 0o644
