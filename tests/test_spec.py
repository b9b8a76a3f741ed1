"""Specs and their keys: what tells two runs apart, and what does not."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ablations.registry import TABLES
from nlrepro.config import Profile
from nlrepro.experiments.ablation import Ablation
from nlrepro.spec import SITES, STAGE_BLOCKS, NetSpec, RunSpec
from nlrepro.train.module import VideoClassifier
from nlrepro.trial import Folders

GOLDEN = Path(__file__).parent / "golden" / "keys.txt"


def test_every_row_has_its_golden_key() -> None:
    """A key names records on disk: when it changes, everything recorded under the old one is lost."""
    runs = [(name, row.label, axis.spec(**row.value)) for name, axis in TABLES.items() for row in axis.rows]
    lines = [f"{name} | R{spec.net.depth} {label} | {spec.key}" for name, label, spec in runs]
    assert "\n".join(lines) + "\n" == GOLDEN.read_text()


def test_equal_specs_have_equal_keys_and_unequal_ones_unequal_keys() -> None:
    specs = {axis.spec(**row.value) for axis in TABLES.values() for row in axis.rows}
    assert len({spec.key for spec in specs}) == len(specs)


@pytest.mark.parametrize("form", ["gaussian", "embedded", "dot", "concatenation"])
@pytest.mark.parametrize("domain", ["space", "time", "spacetime"])
def test_a_net_without_blocks_forgets_form_and_domain(form: Any, domain: Any) -> None:
    assert NetSpec(form=form, domain=domain) == NetSpec()
    assert RunSpec(net=NetSpec(form=form, domain=domain)).key == "r50-c2d"
    assert NetSpec(blocks="res4", form=form, domain=domain).name == f"r50-c2d-nl-res4-{form}-{domain}"


def test_residual_blocks_have_neither_form_nor_domain() -> None:
    assert NetSpec(blocks="5-block", kind="residual", form="dot", domain="time") == NetSpec(blocks="5-block", kind="residual")
    assert NetSpec(blocks="5-block", kind="residual").name == "r50-c2d-residual-5-block"
    assert NetSpec(kind="residual") == NetSpec()


def test_each_field_of_a_net_with_blocks_changes_its_key() -> None:
    base = {"depth": 50, "conv": "2d", "blocks": "res4", "kind": "nonlocal", "form": "dot", "domain": "space"}
    other = {"depth": 101, "conv": "3x1x1", "blocks": "5-block", "kind": "residual", "form": "gaussian", "domain": "time"}
    keys = {NetSpec(**(base | {name: value})).name for name, value in other.items()}  # type: ignore[arg-type]
    assert len(keys) == len(other)
    assert NetSpec(**base).name not in keys  # type: ignore[arg-type]


def test_long_starts_from_short_and_short_from_no_run() -> None:
    net = NetSpec(depth=101, conv="3x1x1", blocks="5-block")
    long = RunSpec(net=net, clip="long")
    assert long.parent == RunSpec(net=net)
    assert long.parent.parent is None
    assert long.key == "r101-i3d-3x1x1-nl-5-block-embedded-spacetime-long"
    assert long.parent.key == "r101-i3d-3x1x1-nl-5-block-embedded-spacetime"


def test_sites_are_the_papers() -> None:
    assert SITES[50]["res4"] == ((4, 4),)
    assert SITES[50]["5-block"] == ((3, 1), (3, 3), (4, 1), (4, 3), (4, 5))
    assert SITES[101]["res4"] == ((4, 21),)
    assert SITES[101]["5-block"] == ((3, 1), (3, 3), (4, 6), (4, 13), (4, 20))
    assert SITES[101]["10-block"] == ((3, 0), (3, 1), (3, 2), (3, 3), (4, 2), (4, 6), (4, 10), (4, 14), (4, 18), (4, 22))


@pytest.mark.parametrize("depth", [50, 101])
def test_sites_are_as_many_as_the_name_says_and_exist(depth: Any) -> None:
    number = {"none": 0, "res2": 1, "res3": 1, "res4": 1, "res5": 1, "5-block": 5, "10-block": 10}
    for blocks, sites in SITES[depth].items():
        assert len(set(sites)) == len(sites) == number[blocks]
        assert list(sites) == sorted(sites)
        assert all(0 <= i < STAGE_BLOCKS[depth][stage] for stage, i in sites)
        if number[blocks] == 1:  # right before the last residual block of the stage
            assert sites == ((int(blocks[3]), STAGE_BLOCKS[depth][int(blocks[3])] - 2),)
    assert SITES[50]["10-block"] == tuple((stage, i) for stage in (3, 4) for i in range(STAGE_BLOCKS[50][stage]))


@pytest.mark.parametrize(
    ("wrong", "allowed"),
    [
        ({"depth": 34}, ["50", "101", "34"]),
        ({"conv": "3d"}, ["'2d'", "'3x1x1'", "'3x3x3'", "3d"]),
        ({"form": "softmax"}, ["'gaussian'", "'embedded'", "'dot'", "'concatenation'", "softmax"]),
        ({"domain": "channels"}, ["'space'", "'time'", "'spacetime'", "channels"]),
        ({"kind": "pooling"}, ["'nonlocal'", "'residual'", "pooling"]),
        ({"blocks": "res6"}, ["'res2'", "'res5'", "'5-block'", "'10-block'", "res6"]),
    ],
)
def test_an_invalid_value_names_the_allowed_ones_and_itself(wrong: dict[str, Any], allowed: list[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        NetSpec(**wrong)
    assert all(word in str(caught.value) for word in allowed)


def test_a_mistyped_field_is_refused() -> None:
    with pytest.raises(ValidationError):
        NetSpec(froms="dot")  # type: ignore[call-arg]


def hooks(module: type[VideoClassifier]) -> dict[str, object]:
    """What a module does otherwise than `VideoClassifier`, other than to describe its table."""
    describe = {*vars(Ablation), *Ablation.__annotations__}
    between = module.__mro__[: module.__mro__.index(VideoClassifier)]
    own = {name: value for part in reversed(between) for name, value in vars(part).items() if part is not Ablation}
    return {name: value for name, value in own.items() if name not in describe and not name.startswith(("__", "_abc"))}


@pytest.mark.parametrize("axis", TABLES.values())
def test_no_axis_trains_in_a_way_of_its_own(axis: type[Ablation]) -> None:
    """A record must not depend on which table was swept first, nor on whether the run was somebody's parent."""
    assert hooks(axis) == {}


def test_a_run_has_the_same_tables_whichever_table_asks_also_as_somebodys_parent(smoke: Profile) -> None:
    found: dict[str, tuple[str, ...]] = {}
    for axis in TABLES.values():
        for job in TABLES.complete([axis], [0], smoke, Folders()):
            assert found.setdefault(job.run.key, job.tables) == job.tables, (job.run.key, axis.__name__)
    assert found["r50-i3d-3x1x1"] == ("2f",)


def test_hooks_tell_apart_what_trains_and_what_describes() -> None:
    class Described(Ablation):
        table, title, rows, claims = "x", "y", (), ()

        @staticmethod
        def spec() -> RunSpec:
            return RunSpec()

    class Trains(Described):
        def on_train_start(self) -> None: ...

    assert hooks(Described) == {}
    assert list(hooks(Trains)) == ["on_train_start"]


def test_parents_come_first_and_every_run_once(smoke: Profile) -> None:
    ordered = [job.run for job in TABLES.complete([*TABLES.values(), *TABLES.values()], [0, 1], smoke, Folders())]
    assert len(set(ordered)) == len(ordered)
    for i, run in enumerate(ordered):
        assert run.parent is None or run.parent in ordered[:i]
