"""The recipes of ablations/README.md, followed to the letter in a copy of the project; and forms that come, change and go."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT, evaluation
from torch import Tensor

from ablations.__main__ import main
from nlrepro import evaluation as evaluations
from nlrepro import record as records
from nlrepro.config import Profile
from nlrepro.nets import forms
from nlrepro.nets.forms import form
from nlrepro.spec import NetSpec, RunSpec
from nlrepro.stored import OfUnknownForm

KEY = "r50-c2d-nl-res4-sigmoid-spacetime"


def section(heading: str) -> str:
    return (ROOT / "ablations" / "README.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]


def told(copy: Path, *words: str | Path) -> str:
    """What a command prints in the copy, whose code it imports."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, words)), cwd=copy, capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def copy(swept: Path, tmp_path: Path) -> Path:
    """Of the project, with the other rows' runs of the smoke profile, so that only the new one is trained."""
    copy = tmp_path / "copy"
    for name in ("ablations", "nlrepro"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, copy)
    shutil.copytree(swept, copy / "results" / "local")
    (copy / ".venv").mkdir()
    (copy / ".venv" / "ready").touch()  # the environment is that of the test
    return copy


def make(copy: Path, data: Path, *words: str) -> str:
    return told(
        copy,
        "make",
        *words,
        f"BIN={Path(sys.executable).parent}",
        "PROFILE=smoke",
        "SEEDS=0,1",
        "JOBS=2",
        f"DATA={data}",
    )


PLACE, BLOCK = "r50-c2d-nl-early-res4-embedded-spacetime", "r50-c2d-simplified-res4"


@pytest.mark.rare
def test_the_readmes_own_form_place_and_block_stand_in_their_tables_together(data: Path, copy: Path) -> None:
    command = add_a_form(copy)
    for recipe in ("Add another place", "Add another block"):
        (diff,) = re.findall(r"^```diff\n(.*?)^```", section(recipe), re.DOTALL | re.MULTILINE)
        apply(diff, copy)
    printed = make(copy, data, *command.split()[1:])
    make(copy, data, "table2b", f"ONLY={PLACE}")

    assert re.search(r"^\W*sigmoid ", printed, re.MULTILINE), printed
    tables = copy / "results" / "local" / "tables" / "smoke"
    forms, stages = (pd.read_csv(tables / f"table{name}.csv").set_index("row") for name in ("2a", "2b"))
    new = {"sigmoid": KEY, "simplified (GCNet)": BLOCK}
    assert forms["key"][list(new)].to_dict() == new
    assert forms["seeds"][list(new)].tolist() == [2, 2]
    assert tuple(stages.loc["early res4", ["key", "seeds"]]) == (PLACE, 2)
    row = forms.loc["sigmoid"]
    for number in ("top1", "delta"):
        assert float(row[f"{number}_low"]) <= float(row[number]) <= float(row[f"{number}_high"])
    assert row.paper_top1 == "--"
    assert "0 stale" in told(
        copy, sys.executable, "-m", "ablations", "list", "--profile", "smoke", "--data", data
    )

    (net,) = (copy / "results" / "local" / "runs" / "smoke" / KEY / "seed0").glob("net-*.pt")
    video = sorted((data / "smoke" / "test").glob("*/*.mp4"))[0]
    look = told(
        copy, sys.executable, "-m", "ablations", "attend", video, "--weights", net, "--profile", "smoke"
    )
    assert "no softmax in this form: responses f / C(x)" in look


def add_a_form(copy: Path) -> str:
    """Append the README's form where it says; the command to run then."""
    text = section("Add a form")
    (place,) = re.findall(r"Append this to `([^`]+)`:\n", text)
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert [language for language, _ in blocks] == ["python", ""]
    (_, code), (_, command) = blocks
    with (copy / place).open("a") as file:
        file.write("\n\n" + code)
    return str(command)


def apply(diff: str, folder: Path) -> None:
    """Each hunk's old lines stand once in its file."""
    for part in diff.split("--- a/")[1:]:
        name, _, hunks = part.partition("\n")
        path = folder / name
        for hunk in hunks.split("@@\n")[1:]:
            old, new = (
                "\n".join(line[1:] for line in hunk.splitlines() if line[:1] in kept) for kept in (" -", " +")
            )
            assert path.read_text().count(old) == 1, old
            path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize("name", ["dot", "Sig", "a_b", "sigmoïd"])
def test_a_forms_name_is_new_and_fit_for_a_key(name: str) -> None:
    def weights(theta: Tensor, phi: Tensor) -> Tensor:
        return theta @ phi.mT

    weights.__name__ = name
    with pytest.raises(
        ValueError, match=r"a form needs a new name of a-z and 0-9, other than gaussian, embedded, .*; got"
    ):
        form("f")(weights)


def test_a_form_that_nobody_added_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected one of 'gaussian', .*, got 'sigmoid'"):
        NetSpec(blocks="res4", form="sigmoid")


SOURCE = """@form("f = tanh(theta_i . phi_j), C = N")
def tanh(theta, phi):
    return (theta @ phi.mT).tanh() / phi.shape[1]
"""
Defined = Callable[[str], RunSpec]


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(forms, "tanh", raising=False)


@pytest.fixture
def defined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Defined:
    """Puts a form `tanh` with this source in place of what it was; the run of it."""
    versions = iter(range(100))

    def define(source: str) -> RunSpec:
        forget(monkeypatch)
        path = tmp_path / f"mine{next(versions)}.py"
        path.write_text("from nlrepro.nets.forms import form\n" + source)
        spec = spec_from_file_location(path.stem, path)
        assert spec
        assert spec.loader
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(forms, "tanh", module.tanh, raising=False)
        return RunSpec(net=NetSpec(blocks="res4", form="tanh"))

    return define


def test_an_edited_function_makes_records_and_evaluations_stale(defined: Defined, smoke: Profile) -> None:
    run = defined(SOURCE)
    long = replace(run, clip="long")
    given = evaluation(run, smoke, "32x2", "0")
    before = [records.fingerprint(spec, smoke) for spec in (run, long)]
    defined("if True:\n" + re.sub("^", "    ", SOURCE, flags=re.MULTILINE))  # only indented
    assert [records.fingerprint(spec, smoke) for spec in (run, long)] == before
    assert evaluations.is_fresh(given, run, smoke)
    defined(SOURCE.replace("phi.shape[1]", "phi.shape[1] ** 0.5"))
    assert not {records.fingerprint(spec, smoke) for spec in (run, long)} & set(before)
    assert not evaluations.is_fresh(given, run, smoke)


def test_the_papers_forms_have_no_source_in_the_settings(defined: Defined, smoke: Profile) -> None:
    other = RunSpec(net=NetSpec(blocks="res4", form="dot"))
    before = records.fingerprint(other, smoke)
    defined(SOURCE)
    assert records.fingerprint(other, smoke) == before


@pytest.mark.parametrize("what", [partial(max, 1), max])
def test_a_form_whose_source_cannot_be_read_is_refused(what: Callable[..., Tensor]) -> None:
    with pytest.raises(ValueError, match=r"a form is a function in a file, got "):
        form("f")(what)


@pytest.mark.rare
def test_records_of_a_form_that_is_gone_are_told_and_break_nothing(
    defined: Defined,
    swept: Path,
    data: Path,
    smoke: Profile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)  # whose results/published there is not yet
    shutil.copytree(swept, tmp_path / "mine")
    run = defined(SOURCE)
    template = records.read(records.record_path(swept, "smoke", "r50-c2d-nl-res4-dot-spacetime", 0))
    paths = [
        records.write(replace(template, key=run.key, spec=run, seed=seed), Path("mine")) for seed in (0, 1)
    ]
    paths.append(evaluations.write(evaluation(run, smoke, "32x2", "0"), Path("mine")))
    forget(monkeypatch)

    for read, path, what in ((records.read, paths[0], "record"), (evaluations.read, paths[2], "record")):
        with pytest.raises(
            OfUnknownForm,
            match=rf"the {what} {path} is of the unknown form 'tanh'; define a function tanh with @form",
        ):
            read(path)
    told = f"unknown form 'tanh', records left out: {', '.join(map(str, paths))}; define a function tanh with @form again, in "
    for words in (
        ["list", "2a"],
        ["report", "2a"],
        ["sweep", "2a", "--seeds", "0,1", "--data", str(data)],
        ["publish", "2a", "--seeds", "0,1"],
        ["report", "2b"],
    ):
        assert main([*words, "--profile", "smoke", "--results", "mine"]) == 0, words
        out, err = capsys.readouterr()
        assert [line.startswith(told) for line in out.splitlines() if "tanh" in line] == [True], out
        assert "damaged" not in out + err
    assert all(path.is_file() for path in paths)
    assert not list(Path("results/published").rglob("*tanh*"))
    assert (tmp_path / "mine" / "tables" / "smoke" / "table2a.csv").read_text().count(",2,") >= 5
