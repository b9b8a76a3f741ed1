"""What wandb is given, without its service."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import command

from ablations.registry import TABLES
from nlrepro import profiles
from nlrepro.errors import BadInput
from nlrepro.run import Run
from nlrepro.spec import NetSpec, RunSpec
from nlrepro.tracking import logs
from nlrepro.tracking.dashboard import config, identity

workspaces = pytest.importorskip("wandb_workspaces.workspaces")
TITLES = {name: axis.title for name, axis in TABLES.items()}


def spec(view: Any) -> dict[str, Any]:
    """What is sent, as `wandb_workspaces` sends it."""
    return json.loads(view.spec.model_dump_json(by_alias=True, exclude_none=True))


def log(results: Path, name: str) -> Path:
    folder = results / "runs" / "mini" / name / "seed0" / "wandb" / f"offline-run-20260101_00000{len(name)}-{name}"
    folder.mkdir(parents=True)
    (folder / f"run-{name}.wandb").write_bytes(b"")
    (folder.parent / "latest-run").symlink_to(folder.name)
    return folder


def test_a_workspace_has_a_section_a_table_with_accuracy_curves_and_cost_of_its_rows() -> None:
    from nlrepro.tracking.workspace import workspace

    sent = spec(workspace("me", "mini", TITLES)._to_model())
    sections = sent["section"]["panelBankConfig"]["sections"]
    assert [section["name"].split(".")[0] for section in sections] == [f"Table {name}" for name in TABLES]
    for name, section in zip(TABLES, sections, strict=True):
        bars, scatter, *curves = (panel["config"] for panel in section["panels"])
        assert (bars["metrics"], bars["groupBy"], bars["groupAgg"]) == ([f"table{name}/test_top1"], "key.value", "mean")
        assert (scatter["xAxis"], scatter["yAxis"]) == ("config:macs.value", f"summary:table{name}/test_top1")
        assert [curve["metrics"] for curve in curves] == [[f"table{name}/val_top1"], [f"table{name}/train_loss"]]
        assert {(curve["xAxis"], curve["groupBy"]) for curve in curves} == {("trainer/global_step", "key.value")}


def test_a_workspace_shows_the_runs_of_one_profile_only() -> None:
    from nlrepro.tracking.workspace import workspace

    view = workspace("me", "paper", TITLES)._to_model()
    (runs,) = spec(view)["section"]["runSets"]
    (chosen,) = runs["filters"]["filters"]
    assert (view.entity, view.project, view.display_name) == ("me", "nonlocal-table2", "Table 2, paper")
    assert (chosen["key"], chosen["op"], chosen["value"]) == ({"section": "config", "name": "profile"}, "=", "paper")


def test_a_second_save_changes_the_first_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nlrepro.tracking import workspace

    sent = []

    def upsert(view: Any) -> dict[str, Any]:
        sent.append(view)
        return {"upsertView": {"view": {"name": "nw-abc-v", "id": "id of the first"}}}

    first = workspace.workspace("me", "mini", {})
    monkeypatch.setattr(workspaces.internal, "upsert_view2", upsert)
    monkeypatch.setattr(workspaces.Workspace, "url", property(lambda self: "https://wandb.ai/me/nonlocal-table2?nw=abc"))
    monkeypatch.setattr(workspaces.Workspace, "from_url", lambda url: first)
    first.save()
    (tmp_path / "workspace.url").write_text("https://wandb.ai/me/nonlocal-table2?nw=abc")
    workspace.save("me", "mini", TITLES, tmp_path / "workspace.url")
    assert [view.id for view in sent] == ["", "id of the first"]
    assert len(spec(sent[1])["section"]["panelBankConfig"]["sections"]) == len(TABLES)


def test_a_run_can_be_found_by_what_it_is() -> None:
    smoke, spec = profiles.load("smoke"), RunSpec(net=NetSpec(depth=101, blocks="5-block"))
    run = Run(spec=spec, profile=smoke, seed=3)
    found = identity(run, ("2c", "2d")) | config(run)
    wanted = {"depth": 101, "blocks": "5-block", "seed": 3, "profile": "smoke", "tables": ["2c", "2d"], "steps": 4, "lr": 3e-3}
    assert wanted.items() <= found.items()
    assert found["macs"] > config(Run(spec=RunSpec(), profile=smoke, seed=3))["macs"]


def test_the_dashboard_opens_on_a_folder_of_all_local_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = {log(tmp_path, name) for name in ("one", "three")}
    said: list[tuple[str, ...]] = []
    monkeypatch.setattr(logs, "wandb", lambda *words: said.append(words))
    for _ in range(2):
        logs.look(tmp_path)
    assert said[0] == said[1] == ("leet", str(tmp_path / "runs" / "wandb"))
    assert {link.resolve() for link in (tmp_path / "runs" / "wandb").iterdir()} == {folder.resolve() for folder in folders}
    assert set(logs.logs(tmp_path)) == folders  # the links are no logs of their own


def test_all_offline_logs_are_uploaded_and_a_failure_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [str(log(tmp_path, name)) for name in ("b", "aa")]
    said: list[tuple[str, ...]] = []
    monkeypatch.setattr("wandb.login", lambda prompt: True)
    monkeypatch.setattr(logs, "wandb", lambda *words: said.append(words) or len(said) - 1)
    logs.upload(tmp_path, "me")
    assert said == [("sync", "--yes", "--entity", "me", *folders)]
    with pytest.raises(BadInput, match="the same command goes on"):
        logs.upload(tmp_path, None)


def test_without_a_key_or_without_runs_the_error_says_what_to_do(tmp_path: Path) -> None:
    nobody = {"HOME": str(tmp_path), "WANDB_API_KEY": "", "WANDB_MODE": "online", "WANDB_CONFIG_DIR": str(tmp_path)}
    done = command("sync", "--results", tmp_path, **nobody)
    assert done.status == 2
    assert "wandb login" in done.err
    assert "WANDB_API_KEY" in done.err
    done = command("dashboard", "--results", tmp_path, **nobody)
    assert done.status == 2
    assert "run a sweep first" in done.err
