"""What wandb is given, without its service."""

from pathlib import Path

import pytest
from conftest import command

from nlrepro.config import load_profile
from nlrepro.files import BadInput
from nlrepro.run import Run
from nlrepro.spec import NetSpec, RunSpec
from nlrepro.tracking import logs
from nlrepro.tracking.dashboard import config, identity


def log(results: Path, name: str) -> Path:
    folder = (
        results / "runs" / "mini" / name / "seed0" / "wandb" / f"offline-run-20260101_00000{len(name)}-{name}"
    )
    folder.mkdir(parents=True)
    (folder / f"run-{name}.wandb").write_bytes(b"")
    (folder.parent / "latest-run").symlink_to(folder.name)
    return folder


def test_a_run_can_be_found_by_what_it_is() -> None:
    smoke, spec = load_profile("smoke"), RunSpec(net=NetSpec(depth=101, blocks="5-block"))
    run = Run(spec=spec, profile=smoke, seed=3)
    found = identity(run, ("2c", "2d")) | config(run)
    wanted = {
        "depth": 101,
        "blocks": "5-block",
        "seed": 3,
        "profile": "smoke",
        "tables": ["2c", "2d"],
        "steps": 4,
        "lr": 3e-3,
    }
    assert wanted.items() <= found.items()
    assert found["macs"] > config(Run(spec=RunSpec(), profile=smoke, seed=3))["macs"]


def test_the_dashboard_opens_on_a_folder_of_all_local_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = {log(tmp_path, name) for name in ("one", "three")}
    said: list[tuple[str, ...]] = []
    monkeypatch.setattr(logs, "wandb", lambda *words: said.append(words))
    for _ in range(2):
        logs.look(tmp_path)
    assert said[0] == said[1] == ("leet", str(tmp_path / "runs" / "wandb"))
    assert {link.resolve() for link in (tmp_path / "runs" / "wandb").iterdir()} == {
        folder.resolve() for folder in folders
    }
    assert set(logs.logs(tmp_path)) == folders  # the links are no logs of their own


def test_all_offline_logs_are_uploaded_and_a_failure_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [str(log(tmp_path, name)) for name in ("b", "aa")]
    said: list[tuple[str, ...]] = []
    monkeypatch.setattr("wandb.login", lambda prompt: True)
    monkeypatch.setattr(logs, "wandb", lambda *words: said.append(words) or len(said) - 1)
    logs.upload(tmp_path, "me")
    assert said == [("sync", "--yes", "--entity", "me", *folders)]
    with pytest.raises(BadInput, match="the same command goes on"):
        logs.upload(tmp_path, None)


def test_without_a_key_or_without_runs_the_error_says_what_to_do(tmp_path: Path) -> None:
    nobody = {
        "HOME": str(tmp_path),
        "WANDB_API_KEY": "",
        "WANDB_MODE": "online",
        "WANDB_CONFIG_DIR": str(tmp_path),
    }
    done = command("sync", "--results", tmp_path, **nobody)
    assert done.status == 2
    assert "wandb login" in done.err
    assert "WANDB_API_KEY" in done.err
    done = command("dashboard", "--results", tmp_path, **nobody)
    assert done.status == 2
    assert "run a sweep first" in done.err
