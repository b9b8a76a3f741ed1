"""The README's "Add your own row", followed to the letter in a copy of the project."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT

from nlrepro.nets.forms import form
from nlrepro.spec import NetSpec

KEY = "r50-c2d-nl-res4-sigmoid-spacetime"


def section() -> str:
    return (ROOT / "README.md").read_text().split("\n## Add your own row\n")[1].split("\n## ")[0]


def told(copy: Path, *words: str | Path) -> str:
    """What a command prints in the copy, whose code it imports."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(list(map(str, words)), cwd=copy, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_readmes_own_row_stands_in_table_2a_with_its_interval(data: Path, swept: Path, tmp_path: Path) -> None:
    """The other rows' runs of the smoke profile are there already, so that only the new one is trained."""
    copy = tmp_path / "copy"
    for name in ("ablations", "nlrepro"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, copy)
    shutil.copytree(swept, copy / "results" / "local")
    (copy / ".venv").mkdir()
    (copy / ".venv" / "ready").touch()  # the environment is that of the test

    (place,) = re.findall(r"Append this to `([^`]+)`:\n", section())
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", section(), re.DOTALL | re.MULTILINE)
    assert [language for language, _ in blocks] == ["python", ""]
    (_, code), (_, command) = blocks
    with (copy / place).open("a") as file:
        file.write("\n\n" + code)
    smoke = [f"BIN={Path(sys.executable).parent}", "PROFILE=smoke", "SEEDS=0,1", "JOBS=1", f"DATA={data}"]
    printed = told(copy, *command.split(), *smoke)

    assert re.search(r"^\W*sigmoid ", printed, re.MULTILINE), printed
    rows = pd.read_csv(copy / "results" / "local" / "tables" / "smoke" / "table2a.csv").set_index("row")
    assert list(rows.index[-2:]) == ["concatenation", "sigmoid"]
    row = rows.loc["sigmoid"]
    assert (row.key, row.seeds) == (KEY, 2)
    for number in ("top1", "delta"):
        assert float(row[f"{number}_low"]) <= float(row[number]) <= float(row[f"{number}_high"])
    assert row.paper_top1 == "--"

    (net,) = (copy / "results" / "local" / "runs" / "smoke" / KEY / "seed0").glob("net-*.pt")
    video = sorted((data / "smoke" / "test").glob("*/*.mp4"))[0]
    look = told(copy, sys.executable, "-m", "ablations", "attend", video, "--weights", net, "--profile", "smoke")
    assert "no softmax in this form: responses f / C(x)" in look


@pytest.mark.parametrize("name", ["dot", "Sig", "a b", "../x", "a-b", ""])
def test_a_forms_name_is_new_and_fit_for_a_key(name: str) -> None:
    with pytest.raises(ValueError, match=r"a form needs a new name of a-z and 0-9, other than gaussian, embedded, .*; got"):
        form(name)


def test_a_form_that_nobody_added_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected one of 'gaussian', .*, got 'sigmoid'"):
        NetSpec(blocks="res4", form="sigmoid")
