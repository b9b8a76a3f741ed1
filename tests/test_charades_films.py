"""The generated videos of Table 4: what they promise, seen in the plots, the pixels and the files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from charades_tree import smoke

from nlrepro.charades.annotations import annotations
from nlrepro.charades.films import RATE, Films, Plot, actions, draw, film, plot
from nlrepro.charades.making import make
from nlrepro.charades.profile import load
from nlrepro.data.synthetic import INKS, random_of
from nlrepro.data.videos import decode
from nlrepro.files import BadInput

MANY = range(200)


@pytest.fixture
def task() -> Films:
    films = load("mini").films
    assert films
    return films


def plots(task: Films) -> list[Plot]:
    return [plot(task, "train", index) for index in MANY]


def test_a_film_is_a_function_of_settings_part_and_index(task: Films) -> None:
    once, again = film(task, "train", 3), film(task, "train", 3)
    np.testing.assert_array_equal(once[0], again[0])
    assert once[1] == again[1]
    for other in (film(task, "val", 3), film(task, "train", 4), film(replace(task, seed=9), "train", 3)):
        assert (other[0] != once[0]).any()


def test_a_plot_has_three_or_four_digits_of_both_inks_and_a_card_in_each_half(task: Films) -> None:
    found = plots(task)
    assert {len(one.digits) for one in found} == {3, 4}
    for one in found:
        assert {thing.ink for thing in one.digits.values()} == set(INKS)
        early, late = (card.when for card in one.cards)
        assert 0 <= early.start < early.stop <= 16 <= late.start < late.stop <= 32
        for digit in one.digits.values():
            assert 0 <= digit.when.start < digit.when.stop <= 32
    for many in ([one.cards[0].ink for one in found], [one.cards[1].ink for one in found]):
        assert 0.4 < many.count("red") / len(many) < 0.6


def test_things_lie_clear_of_each_other_inside_the_frame(task: Films) -> None:
    for one in plots(task):
        squares = [thing.square for thing in (*one.cards, *one.digits.values())]
        assert all(square.inside(task.size) for square in squares)
        assert all(a.clear_of(b) for i, a in enumerate(squares) for b in squares[:i])


def test_an_action_is_a_digit_of_a_cards_ink_while_it_is_seen(task: Films) -> None:
    for one in plots(task):
        expected = set()
        for digit, thing in one.digits.items():
            for late in (0, 1):
                if one.cards[late].ink == thing.ink:
                    expected.add((2 * task.digits.index(digit) + late, thing.when.start / RATE, thing.when.stop / RATE))
        assert {tuple(action) for action in actions(task, one)} == expected


def test_a_digit_alone_does_not_tell_its_classes(task: Films) -> None:
    """Whatever digit in whatever ink is seen: each of its two classes holds half of the time."""
    held = {(ink, late): list[bool]() for ink in INKS for late in (0, 1)}
    for one in plots(task):
        for thing in one.digits.values():
            for late, card in enumerate(one.cards):
                held[thing.ink, late].append(card.ink == thing.ink)
    for values in held.values():
        assert 0.4 < np.mean(values) < 0.6


def test_a_cards_ink_changes_nothing_but_the_cards_square_while_it_is_seen(task: Films) -> None:
    found = plot(task, "train", 0)
    early, late = found.cards
    other = found._replace(cards=(early._replace(ink="red" if early.ink == "green" else "green"), late))
    pictures = [draw(task, "train", one, random_of(task, "pixels", 0)) for one in (found, other)]
    changed = (pictures[0] != pictures[1]).any(3)  # (T, H, W)
    expected = np.zeros_like(changed)
    x, y, side = early.square
    expected[early.when, y : y + side, x : x + side] = True
    assert (changed & ~expected).sum() == 0
    assert (changed & expected).sum() > 0.9 * expected.sum()


def test_no_room_and_odd_profiles_are_told(task: Films, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no room for [34] digits of 20 px and two cards of 6 px in 32 px"):
        plot(replace(task, digit=20), "train", 0)
    path = tmp_path / "mine.toml"
    path.write_text('base = "mini"\n[films]\ndigits = [1, 2, 3, 4]\n')
    with pytest.raises(BadInput, match="4 digits give 8 classes, the clips have 12"):
        load(str(path))
    path.write_text('base = "paper"\nreal = 3\n')
    with pytest.raises(BadInput, match=r"mine.toml: real: .*got 3"):
        load(str(path))
    path.write_text('base = "mini"\n[real]\ntrain_sides = [1, 2]\ntest_side = 1\ndevices = 1\nprecise_batches = 1\n')
    with pytest.raises(BadInput, match=r"expected either \[films\] or \[real\]"):
        load(str(path))
    with pytest.raises(BadInput, match="unknown profile 'min'; use one of mini, paper, smoke"):
        load("min")


def test_the_tree_is_charades_layout_and_its_files_show_what_was_drawn(charades_data: Path) -> None:
    task = smoke().films
    assert task
    root = charades_data / "charades-smoke"
    names = sorted(path.name for path in (root / "Charades_v1_480").iterdir())
    assert names == sorted([f"train{i:05d}.mp4" for i in range(24)] + [f"val{i:05d}.mp4" for i in range(16)])
    drawn, expected = film(task, "test", 2)
    seen = decode(root / "Charades_vu17_test_480/test00002.mp4", task.size)
    assert seen.shape == drawn.shape
    assert np.abs(seen.astype(int) - drawn).mean() < 8 < np.abs(seen.astype(int) - film(task, "test", 3)[0]).mean()
    found = annotations(root / "Charades_vu17_test.csv", 12)["test00002"]
    assert [action.label for action in found] == [action.label for action in expected]
    assert np.allclose([action[1:] for action in found], [action[1:] for action in expected], atol=0.006)


@pytest.mark.rare
def test_what_is_missing_or_damaged_is_made_and_what_is_there_kept(tmp_path: Path) -> None:
    films = smoke().films
    assert films
    task, root = replace(films, videos={"train": 3, "val": 1, "test": 1}), tmp_path / "films"
    make(task, root)
    paths = sorted(path for path in root.rglob("*") if path.is_file())
    before = {path: path.read_bytes() for path in paths}
    kept = root / "Charades_v1_480/train00002.mp4"
    changed = kept.stat().st_mtime_ns
    (root / "Charades_v1_480/train00000.mp4").unlink()
    (root / "Charades_v1_480/train00001.mp4").write_bytes(b"half")
    (root / "Charades_v1_test.csv").write_text("id,actions\n")
    (root / "checksums_test.json").write_text("{")
    make(task, root)
    assert {path: path.read_bytes() for path in paths} == before
    assert kept.stat().st_mtime_ns == changed
    with pytest.raises(BadInput, match="holds videos of other settings, or no generated ones; remove that folder"):
        make(replace(task, seed=9), root)
    (root / "films.json").unlink()
    with pytest.raises(BadInput, match="or no generated ones"):
        make(task, root)
