"""The recipes of ablations/README.md, followed to the letter in a copy of the project; forms that change."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from runpy import run_path

import pandas as pd
import pytest
from conftest import ROOT, smoke_run

from nlrepro.nets import nonlocal_block
from nlrepro.run import Folders
from nlrepro.spec import NetSpec, RunSpec

ROWS = {  # that the README adds, by table and label
    ("2a", "sigmoid"): "r50-c2d-nl-res4-sigmoid-spacetime",
    ("2b", "early res4"): "r50-c2d-nl-early-res4-embedded-spacetime",
    ("2a", "mean"): "r50-c2d-mean-res4",
    ("2h", "res5"): "r50-c2d-nl-res5-embedded-time",
}


@pytest.fixture
def copy(swept: Path, tmp_path: Path) -> Path:
    """Of the project, with the runs of other rows, so that only the new ones are trained."""
    copy = tmp_path / "copy"
    for name in ("ablations", "nlrepro"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, copy)
    shutil.copytree(swept, copy / "results" / "local")
    (copy / ".venv").mkdir()
    (copy / ".venv" / "ready").touch()  # the environment is that of the test
    return copy


def output(copy: Path, *words: str | Path) -> str:
    """What a command prints in the copy, whose code it imports."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    line = list(map(str, words))
    done = subprocess.run(line, cwd=copy, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def follow(readme: str, folder: Path) -> None:
    """Append or write the Python that the text names a file for, and apply its diffs, each hunk once."""
    for before, language, block in re.findall(
        r"([^`]*`[^`\n]+`:\n\n)?^```(\w+)\n(.*?)^```", readme, re.M | re.S
    ):
        if language == "python" and before:
            path = folder / before.split("`")[-2]
            path.write_text(f"{path.read_text()}\n\n{block}" if path.is_file() else block)
        for part in block.split("--- a/")[1:] if language == "diff" else ():
            name, _, hunks = part.partition("\n")
            path = folder / name
            for hunk in hunks.split("@@\n")[1:]:
                lines = hunk.splitlines()
                old, new = (
                    "\n".join(line[1:] for line in lines if line[:1] in signs) for signs in (" -", " +")
                )
                assert path.read_text().count(old) == 1, old
                path.write_text(path.read_text().replace(old, new))


@pytest.mark.rare
def test_the_readmes_own_form_place_block_and_table_stand_together(data: Path, copy: Path) -> None:
    follow((ROOT / "ablations" / "README.md").read_text(), copy)
    python = sys.executable
    options = (f"BIN={Path(python).parent}", "PROFILE=smoke", "SEEDS=0", "JOBS=2", f"DATA={data}")
    for words in (["table2a"], ["table2b", "ONLY=*early-res4*"], ["table2h"]):
        output(copy, "make", *words, *options)
    for (name, label), key in ROWS.items():
        frame = pd.read_csv(copy / f"results/local/tables/smoke/table{name}.csv", na_values=["--"])
        row = frame.set_index("row").loc[label]
        assert (row.key, pd.isna(row.paper_top1)) == (key, True)
        assert row.delta_low <= row.delta <= row.delta_high
    listed = output(copy, python, "-m", "ablations", "list", "--profile", "smoke", "--data", data)
    assert ", 0 stale" in listed


SOURCE = """@form("f = tanh(theta_i . phi_j), C = N")
def tanh(theta, phi):
    return (theta @ phi.mT).tanh() / phi.shape[1]
"""


def test_an_edited_function_makes_its_records_stale_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = iter(range(100))

    def define(source: str) -> list[str]:
        """Fingerprints of short and long clips with a form `tanh` of this source."""
        monkeypatch.delattr(nonlocal_block, "tanh", raising=False)
        path = tmp_path / f"mine{next(versions)}.py"
        path.write_text("from nlrepro.nets.nonlocal_block import form\n" + source)
        monkeypatch.setattr(nonlocal_block, "tanh", run_path(str(path))["tanh"], raising=False)
        short = RunSpec(net=NetSpec(blocks="res4", form="tanh"))
        return [replace(other, spec=each).fingerprint for each in (short, replace(short, clip="long"))]

    other = smoke_run("r50-c2d-nl-res4-dot-spacetime", Folders())
    before, first = other.fingerprint, define(SOURCE)
    assert define("if True:\n" + re.sub("^", "    ", SOURCE, flags=re.MULTILINE)) == first  # only indented
    assert not {*define(SOURCE.replace("phi.shape[1]", "phi.shape[1] ** 0.5"))} & {*first}
    assert replace(other).fingerprint == before
