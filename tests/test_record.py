"""Records and runs: files that are read back, damage, settings that a result depends on, and states."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from records import fresh_record, weights_record

from ablations.registry import TABLES
from nlrepro.config import Profile
from nlrepro.files import exclusive, file_digest
from nlrepro.record import (
    Damaged,
    Point,
    damaged_records,
    digest,
    read_record,
    read_records,
    share,
    write_record,
)
from nlrepro.run import FAILED, QUEUED, Folders, Run, slurm_queue, with_parents
from nlrepro.spec import NetSpec, RunSpec
from nlrepro.task import VIDEO

LONG = RunSpec(net=NetSpec(blocks="res4", form="dot"), clip="long")


@pytest.fixture
def run(smoke: Profile, tmp_path: Path) -> Run:
    """Of long clips, hence with a parent."""
    folders = Folders(data=tmp_path / "data", results=tmp_path)
    return Run(task=VIDEO, spec=LONG, profile=smoke, seed=1, folders=folders, tables=("2a", "2b"))


# ---- files ----


def test_a_record_is_read_back_as_it_was_written(run: Run, tmp_path: Path) -> None:
    curve = (Point(step=2, train_loss=0.1 + 0.2, value=0.0), Point(step=4, train_loss=1.0, value=100.0))
    metrics = {"top1": 100 / 3, "top5": 200 / 3, "loss": 1.25e-3}
    record = fresh_record(run, "019", curve=curve, metrics=metrics, kinds={"near": "01"}, notes=("a", "b"))
    path = write_record(record, tmp_path)
    assert path == run.record_path == tmp_path / "records/smoke" / LONG.key / "seed1.json"
    assert read_record(path) == run.record() == record
    assert path.stat().st_mode & 0o777 == 0o644
    assert record.headline == "top1 33.3, top5 66.7"


def rewrite(**fields: Any) -> Callable[[Path], object]:
    """Writes the record again with these fields."""
    return lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | fields))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "not text": lambda path: path.write_bytes(b"\x00\xff\x93" * 50),
    "a field is unknown": rewrite(topp1=3),
    "a field of the wrong type": rewrite(seed="three"),
    "of another seed": rewrite(seed=2),
    "of weights": lambda path: shutil.copy(path.with_name("weights-caffe2-8x8-00000000.json"), path),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_record_is_named_in_one_line_and_left_out(run: Run, tmp_path: Path, damage: str) -> None:
    other, test = fresh_record(replace(run, seed=0)), weights_record(run, "8x8", "01")
    path, *_ = [write_record(record, tmp_path) for record in (fresh_record(run), other, test)]
    DAMAGE[damage](path)
    with pytest.raises(Damaged) as caught:
        read_record(path)
    line = str(caught.value)
    assert line.startswith(f"the record {path} is damaged: ")
    assert len(line.splitlines()) == 1
    assert read_records(tmp_path, "smoke") == [other, test]
    assert list(damaged_records(tmp_path, "smoke")) == [line]
    assert run.damage() == line
    assert run.record() is None
    assert run.status({}).state == "damaged"


def test_stray_files_are_no_records_and_garbage_in_the_notes_of_a_try_is_survived(run: Run) -> None:
    path = write_record(fresh_record(run), run.folders.results)
    for name in ("seed1_old.json", "seed-1.json", "seedx.json", "seed01.json", "notes.json"):
        shutil.copy(path, path.with_name(name))
    (path.parent / "seed1-old").mkdir()
    assert read_records(run.folders.results, "smoke") == [fresh_record(run)]
    assert list(damaged_records(run.folders.results, "smoke")) == []
    tried = replace(run, seed=7)
    tried.folder.mkdir(parents=True)
    for content in (b"", b"\xff\x00garbage", b'{"job": 5}'):
        (tried.folder / QUEUED).write_bytes(content)
        assert (tried.queued(), tried.status({}).state) == (None, "missing")
        (tried.folder / FAILED).write_bytes(content)
        assert tried.failure()
        (tried.folder / FAILED).unlink()


def test_a_share_is_100_percent_only_if_nothing_is_missing() -> None:
    assert share(19402, 19761) == "19,402 of 19,761 videos (98.2 %)"
    assert [share(n, 100_000, "images")[-8:] for n in (99_999, 100_000)] == ["(99.9 %)", "100.0 %)"]


# ---- settings ----


CHOICES = ("adamw", "sgd"), ("one-cycle", "steps"), ("32-true", "bf16-mixed"), ("text", "release")
CHOICES += ("max", "mean"), ("card ink", "own ink"), ("smoke", "mini"), ("cards", "mini")
OTHER = {one: other for pair in CHOICES for one, other in (pair, pair[::-1])}
LEFT_OUT = ("start", "roots", "backbones", "keypoints", "accumulate")  # of no effect, or a name


def changed(value: Any) -> Iterator[Any]:
    """The value with each of its leaves changed in turn, to another one of the same type."""
    match value:
        case bool():
            yield not value
        case str():
            yield OTHER.get(value, f"{value}-other")
        case int():
            yield value + 1
        case float():
            yield value / 2 or 1.0
        case None:
            yield 1.0
        case tuple():
            yield (value[0] + 1, *value[1:]) if value else (1,)
        case dict():
            parts = {name: changed(part) for name, part in value.items() if name not in LEFT_OUT}
            yield from ({**value, name: new} for name, news in parts.items() for new in news)
        case _:
            parts = {each.name: getattr(value, each.name) for each in fields(value)}
            yield from (replace(value, **new) for new in changed(parts))


PARTS = {
    LONG.key: ("geometry", "data", "generator", "recipes", "clips", "pretrained"),
    "r101-i3d-3x1x1-charades-val": ("actions",),
    "r50-boxes": ("detection", "pretrained"),
}


@pytest.mark.parametrize(("key", "part"), [(key, part) for key, parts in PARTS.items() for part in parts])
def test_a_fingerprint_changes_with_all_that_a_run_and_its_parent_depend_on(key: str, part: str) -> None:
    run = TABLES.run(key, 0, "smoke", Folders())
    assert digest(run.settings) == run.fingerprint
    for new in changed({part: getattr(run.profile, part)}):
        assert replace(run, profile=replace(run.profile, **new)).fingerprint != run.fingerprint, new


def test_a_fingerprint_does_not_change_with_what_other_runs_depend_on(run: Run) -> None:
    short = run.parent
    for part, field in (("recipes", "lr"), ("clips", "stride")):
        whole = getattr(run.profile, part)
        long = replace(whole["long"], **{field: getattr(whole["long"], field) + 1})
        profile = replace(run.profile, **{part: {**whole, "long": long}}, seeds=(5, 6))
        assert replace(short, profile=profile).fingerprint == short.fingerprint
        assert replace(run, profile=profile).fingerprint != run.fingerprint
    specs = [LONG, LONG.parent, RunSpec(), RunSpec(net=replace(LONG.net, form="gaussian"))]
    assert len({replace(run, spec=spec).fingerprint for spec in specs}) == len(specs)


# ---- runs ----


def test_runs_are_equal_if_all_that_changes_a_result_is(run: Run) -> None:
    same = replace(run, tables=("5",), module=int)  # type: ignore[arg-type]
    assert len({run, same}) == 1
    others = {replace(run, seed=2), replace(run, spec=RunSpec()), replace(run, folders=Folders())}
    assert len({run, *others}) == 4
    assert run != replace(run, profile=replace(run.profile, dry_run=True))
    assert run.parent == replace(run, spec=LONG.parent)
    assert with_parents([run, run.parent, same]) == [run.parent, run]


def test_files_of_other_settings_have_other_names_and_the_record_has_not(run: Run) -> None:
    wide = replace(run.profile.geometry, width=run.profile.geometry.width + 1)
    wider = replace(run, profile=replace(run.profile, geometry=wide))
    assert (wider.folder, wider.record_path) == (run.folder, run.record_path)
    assert not {wider.weights, wider.checkpoint} & {run.weights, run.checkpoint}


def test_a_record_is_fresh_if_settings_and_known_data_are_the_same(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = fresh_record(run)
    assert run.is_fresh(record)
    assert not run.is_fresh(replace(record, fingerprint="others"))
    for here, recorded, fresh in (("a", "a", True), ("a", "b", False), (None, "b", True)):
        monkeypatch.setattr(type(VIDEO), "data_digest", lambda *_, here=here: here)
        assert run.is_fresh(replace(record, data=recorded)) == fresh


def test_a_run_is_finished_if_its_record_is_fresh_and_its_net_is_the_one_that_the_record_names(
    run: Run,
) -> None:
    run.folder.mkdir(parents=True)
    write_record(fresh_record(run), run.folders.results)
    assert run.finished() is None
    run.weights.write_bytes(b"net")
    assert run.finished() == fresh_record(run)  # of before the net's digest was kept
    write_record(fresh_record(run, net=file_digest(run.weights)), run.folders.results)
    assert run.finished()
    assert run.damage() is None
    run.weights.write_bytes(b"nets")
    assert run.finished() is None
    assert "is damaged: its record names another sha256" in str(run.damage())


def states(run: Run) -> list[str]:
    """With SLURM's queue that has the job, that has it running, that lacks it, and that does not answer."""
    queues: list[dict[str, str] | None] = [{"7": "PENDING"}, {"7": "RUNNING"}, {}, None]
    return [run.status(queue).state for queue in queues]


def test_a_run_tells_how_far_it_is(run: Run) -> None:
    assert states(run) == ["missing"] * 4
    run.folder.mkdir(parents=True)
    run.checkpoint.write_bytes(b"")
    assert states(run) == ["stopped"] * 4
    with exclusive(run.lock, "trains"):
        assert states(run) == ["running"] * 4
    run.mark_queued("7")
    assert states(run) == ["queued", "running", "failed", "queued"]
    assert "SLURM's job 7 left the queue without a record" in run.status({}).why
    run.mark_failed("no memory")
    run.mark_failed("a later error")  # of other processes, which fail as the first has
    assert states(run) == ["queued", "running", "failed", "queued"]
    assert run.status({}).why == "no memory"
    run.forget_queued()
    assert states(run) == ["failed"] * 4
    run.forget_failure()
    write_record(fresh_record(run, fingerprint="others"), run.folders.results)
    assert states(run) == ["stopped"] * 4
    run.checkpoint.unlink()
    assert states(run) == ["stale"] * 4
    write_record(fresh_record(run), run.folders.results)
    assert states(run) == ["done"] * 4


QUEUE = {"12": "PENDING", "13": "RUNNING"}


@pytest.mark.parametrize(
    ("answer", "queue"), [('echo "12 PENDING"; echo "13 RUNNING"', QUEUE), ("exit 1", None), ("", None)]
)
def test_slurms_queue_is_read_where_slurm_answers(
    answer: str, queue: dict[str, str] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if answer:
        (tmp_path / "squeue").write_text(f"#!/bin/sh\n{answer}\n")
        (tmp_path / "squeue").chmod(0o755)
    assert slurm_queue() == queue
