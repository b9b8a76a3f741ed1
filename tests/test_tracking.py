"""What wandb is given, without its service."""

import os
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from unittest.mock import Mock, patch

import pytest
from conftest import command, smoke_run
from pytorch_lightning.loggers import WandbLogger

from nlrepro import tracking
from nlrepro.files import BadInput
from nlrepro.run import Folders
from nlrepro.tracking import conclude, dashboard, logs, upload, wandb_logger


def log(results: Path, name: str) -> Path:
    folder = results / "runs/mini" / name / "seed0/wandb" / f"offline-run-20260101_00000{len(name)}-{name}"
    folder.mkdir(parents=True)
    (folder / f"run-{name}.wandb").write_bytes(b"")
    (folder.parent / "latest-run").symlink_to(folder.name)
    return folder


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        ({"WANDB_API_KEY": "wrong"}, "logged offline: AuthenticationError: "),
        ({"WANDB_MODE": "offline "}, "logged offline: ValueError: WANDB_MODE='offline ' is none of online, "),
        ({"WANDB_MODE": "offline"}, "not logged: TimeoutError: too slow"),
    ],
)
def test_whatever_wandb_does_a_run_goes_on_with_a_line_of_warning(
    given: dict[str, str], outcome: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = smoke_run("r50-c2d", Folders(results=tmp_path))
    if outcome.startswith("not"):
        monkeypatch.setattr("wandb.init", Mock(side_effect=TimeoutError("too\nslow")))
    with patch.dict(os.environ), redirect_stderr(StringIO()) as err:
        del os.environ["WANDB_MODE"]
        os.environ |= given
        logger = wandb_logger(run, run.profile.recipe("short"), run.task.cost(run.spec, run.profile))
        if logger:
            assert isinstance(logger, WandbLogger)
            with patch.object(type(logger.experiment), "log", side_effect=BrokenPipeError("no service")):
                logger.log_metrics({"val_top1": 1.0}, 1)
            conclude(logger, {"top1": 1.0})
    lines = [line for line in err.getvalue().splitlines() if line.startswith("wandb: r50-c2d")]
    assert lines[0].startswith(f"wandb: r50-c2d seed 0 is {outcome}")
    assert lines[1:] == ["wandb: r50-c2d seed 0 is logged up to here: BrokenPipeError: no service"] * bool(
        logger
    )
    assert len([*tmp_path.rglob("*.wandb")]) == bool(logger)


def test_the_dashboard_opens_on_a_folder_of_all_local_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = {log(tmp_path, name) for name in ("one", "three")}
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(tracking, "wandb_command", lambda *words: calls.append(words))
    for _ in range(2):
        dashboard(tmp_path)
    links = tmp_path / "runs" / "wandb"
    assert calls == [("leet", str(links))] * 2
    assert {link.resolve() for link in links.iterdir()} == {folder.resolve() for folder in folders}
    assert set(logs(tmp_path)) == folders  # the links are no logs of their own


def test_all_offline_logs_are_uploaded_and_a_failure_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [str(log(tmp_path, name)) for name in ("b", "aa")]
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr("wandb.login", lambda prompt: True)
    monkeypatch.setattr(tracking, "wandb_command", lambda *words: calls.append(words) or len(calls) - 1)
    upload(tmp_path, "me")
    assert calls == [("sync", "--yes", "--entity", "me", *folders)]
    with pytest.raises(BadInput, match="the same command goes on"):
        upload(tmp_path, None)


def test_without_a_key_or_without_runs_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"HOME": tmp_path, "WANDB_CONFIG_DIR": tmp_path, "WANDB_API_KEY": ""}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setattr("wandb.login", lambda prompt: False)
    done = command("sync", "--results", tmp_path)
    assert done.status == 2
    assert "wandb login" in done.err
    assert "WANDB_API_KEY" in done.err
    done = command("dashboard", "--results", tmp_path)
    assert (done.status, "run a sweep first" in done.err) == (2, True)
