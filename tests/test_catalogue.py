"""The catalogue: which tables and runs are chosen, in which order, and what is refused."""

import pytest
from conftest import ROOT

from ablations.registry import TABLES
from nlrepro.files import BadInput
from nlrepro.run import Folders
from nlrepro.train.loop import LEARNERS


def test_every_row_has_its_golden_key() -> None:
    """A key names records on disk: when it changes, everything recorded under the old one is lost."""
    trained = [(name, row) for name, table in TABLES.items() if table.trains for row in table.rows]
    lines = [f"{name} | R{row.depth} {row.label} | {row.key}\n" for name, row in trained]
    assert "".join(lines) == (ROOT / "tests/golden/keys.txt").read_text()


def test_tables_are_chosen_by_name() -> None:
    seven = [f"2{letter}" for letter in "abcdefg"]
    names = {"2c 2a": ["2a", "2c"], "2": seven, "2 5": [*seven, "5"], "all": [*TABLES], "": [*TABLES]}
    assert {each: [table.name for table in TABLES.chosen(each.split())] for each in names} == names
    with pytest.raises(BadInput, match=r"unknown table '8'; use one of 2a, .*, 7, 2 for 2a to 2g, or all"):
        TABLES.chosen(["2a", "8"])


def test_runs_come_once_seed_by_seed_and_parents_before_children() -> None:
    asked = TABLES.runs(["all"], [0, 1], "smoke", Folders())
    assert len(set(asked)) == len(asked)
    assert [run.seed for run in asked] == [0] * (len(asked) // 2) + [1] * (len(asked) // 2)
    ordered = TABLES.complete([run for run in reversed(asked) if run.spec.key.endswith(("-long", "-val"))])
    assert len(set(ordered)) == len(ordered)
    assert all(run.parent is None or run.parent in ordered[:i] for i, run in enumerate(ordered))
    by_key = {run.key: run.tables for run in (*asked, *ordered)}
    assert by_key["r50-c2d"] == ("2a", "2b", "2c", "2d", "2f", "7")
    assert by_key["r50-i3d-3x1x1"] == ("2f",)  # also as a parent
    assert all(run.tables == by_key[run.key] for run in (*asked, *ordered))


def test_table_4_starts_from_one_net_of_table_2g_whatever_the_seed() -> None:
    parents = [run.parent for run in TABLES.runs(["4"], [3], "smoke", Folders())]
    assert {(parent.profile.name, parent.seed) for parent in parents} == {("smoke", 0)}
    assert {parent.key for parent in parents} <= {row.key for row in TABLES["2g"].rows}


@pytest.mark.parametrize("profile", ["smoke", "paper"])
def test_a_dry_run_has_few_steps_and_another_name_and_so_has_what_it_starts_from(profile: str) -> None:
    asked = TABLES.complete(TABLES.runs(["all"], [0], profile, Folders()))
    dry = TABLES.complete(TABLES.runs(["all"], [0], profile, Folders(), steps=3))
    assert [run.key for run in dry] == [run.key for run in asked]
    assert {run.steps for run in dry} == {3}
    assert all(run.profile.name.endswith("-dry-run") for run in dry)


@pytest.mark.parametrize(
    ("words", "profile", "only", "error"),
    [
        (["5"], "nothing", "*", "unknown profile 'coco-nothing'; use one of charades-mini"),
        (["all"], "nothing", "*", "unknown profile 'nothing'; use one of"),
        (["5"], "smoke", "r18*", r"no run key matches 'r18\*'; the keys of these tables are r50-boxes, "),
        (["3"], "mini", "*", "table 3 has no runs of its own; `report 3` shows it"),
    ],
)
def test_runs_that_cannot_be_are_refused(words: list[str], profile: str, only: str, error: str) -> None:
    with pytest.raises(BadInput, match=error):
        TABLES.runs(words, [0], profile, Folders(), only)


def test_tables_without_the_profile_are_left_out_unless_they_are_asked_for() -> None:
    runs = TABLES.runs(["all"], [0], "mini-1000-steps", Folders())
    assert {run.profile.name for run in runs} == {"coco-mini-1000-steps"}
    assert "x101-boxes" not in {run.key for run in runs}  # which the profile cannot build
    assert "x101-boxes" in {run.key for run in TABLES.runs(["5"], [0], "paper", Folders(), "*-boxes")}


def test_rows_that_a_profile_cannot_build_go_with_their_sentences() -> None:
    within = TABLES["5"].within(TABLES["5"].task.profile("mini"))
    assert {row.depth for row in within.rows} == {50, 101}
    assert len(within.claims) == len(TABLES["5"].claims) - 1  # of X152; costs need no runs
    assert TABLES["5"].within(TABLES["5"].task.profile("paper")) == TABLES["5"]


def test_a_run_has_a_key_also_one_that_no_table_has() -> None:
    assert TABLES.run("r50-boxes", 3, "smoke", Folders()).tables == ("5",)
    own = TABLES.run("r101-c2d-nl-res2-dot-time-long", 3, "smoke", Folders(), steps=2)
    assert (own.tables, own.steps, own.seed, own.profile.name) == ((), 2, 3, "smoke-dry-run")
    with pytest.raises(BadInput, match=r"unknown run key 'r50-c2dd'; .* near: r50-c2d, [^,]+, [^,]+$"):
        TABLES.run("r50-c2dd", 0, "smoke", Folders())
    with pytest.raises(BadInput, match="r50-boxes is no video net of Table 2"):
        TABLES.spec("r50-boxes")


def test_no_axis_trains_in_a_way_of_its_own() -> None:
    """A record must not depend on which table was swept first, nor on whether its run was a parent."""
    for name, module in TABLES.modules().items():
        assert module.table == name
        assert module.__base__ is LEARNERS[type(TABLES[name].task)]
        assert {each for each in vars(module) if not each.startswith("_")} == {"table"}
