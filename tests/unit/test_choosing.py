"""The rule of benchmarks/choose.py, on made-up scores."""

from pathlib import Path

import choosing_runs
import numpy as np
import pytest
from choosing import Gain, choose, counted_classes, gain, leave_one_out, verdict
from choosing_scenes import TruthScene
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from landcover_pnp.evaluation.intervals import Interval
from landcover_pnp.evaluation.scores import Scores
from landcover_pnp.legend import CLASS_COUNT
from landcover_pnp.scenes.settings import RasterFiles, SceneSettings

CELLS = 40


def made_up(value: float, half: float = 0.005) -> Gain:
    return Gain(Interval(value, value - half, value + half))


def counts(hits: NDArray[np.integer], misses: NDArray[np.integer]) -> Scores:
    """Each of 40 equal cells: so many pixels of each class hit, so many taken for the next."""
    n = CLASS_COUNT
    confusion = np.zeros((n + 1, n + 1), np.int64)
    confusion[np.arange(1, n + 1), np.arange(1, n + 1)] = hits
    confusion[np.arange(1, n + 1), 1 + (np.arange(n) + 1) % n] += misses
    return Scores(np.repeat(confusion[None], CELLS, axis=0), "five_classes")


@pytest.mark.parametrize(
    ("value", "high", "loses"),
    [
        (-0.02, -0.001, True),
        (-0.02, 0.001, False),  # by chance
        (-0.009, -0.001, False),  # may be borne
        (-0.3, -0.2, True),
        (0.02, 0.03, False),
    ],
)
def test_a_scene_loses_more_than_may_be_borne_and_not_by_chance(
    value: float, high: float, loses: bool
) -> None:
    assert Gain(Interval(value, value - 0.1, high)).loses is loses


def test_a_default_gains_in_the_mean_and_loses_nowhere() -> None:
    good = verdict({"a": made_up(0.03), "b": made_up(-0.009)})
    assert good.allowed
    assert good.mean == pytest.approx(0.0105)
    assert good.worst == "b"
    assert not verdict({"a": made_up(0.3), "b": made_up(-0.02)}).allowed
    assert verdict({"a": made_up(0.3), "b": made_up(-0.02)}).losers == ("b",)
    assert not verdict({"a": made_up(-0.005), "b": made_up(0.001)}).allowed
    assert not verdict({}).allowed


def test_classes_under_half_a_percent_of_the_truth_do_not_count() -> None:
    truth = np.array([5, 4, 591, 400, 0])
    plain = counts(truth, 0 * truth)
    np.testing.assert_array_equal(
        counted_classes(plain.confusion.sum(axis=0)), [True, False, True, True, False]
    )
    lost_rare = gain(counts(truth - [0, 4, 0, 0, 0], np.array([0, 4, 0, 0, 0])), plain)
    lost_counted = gain(counts(truth - [4, 0, 0, 0, 0], np.array([4, 0, 0, 0, 0])), plain)
    assert lost_rare.difference.value == pytest.approx((591 / 595 - 1) / 3)  # soil's union alone
    assert lost_counted.difference.value == pytest.approx((1 / 5 - 1) / 3)
    assert not lost_rare.loses
    assert lost_counted.loses


def test_what_loses_somewhere_is_not_chosen_however_much_it_gains() -> None:
    gains = {
        "bold": {"a": made_up(0.5), "b": made_up(-0.02)},
        "careful": {"a": made_up(0.02), "b": made_up(0.0)},
        "better": {"a": made_up(0.04), "b": made_up(-0.005)},
    }
    assert choose(gains, "plain") == "better"
    assert choose({"bold": gains["bold"]}, "plain") == "plain"


def test_a_scene_left_out_judges_what_the_others_chose() -> None:
    gains = {
        "bold": {"a": made_up(0.1), "b": made_up(0.1), "c": made_up(-0.3)},
        "careful": {"a": made_up(0.01), "b": made_up(0.01)},  # no part in c
    }
    a, b, c = leave_one_out(gains, ["a", "b", "c"], "plain")
    assert (a.chosen, b.chosen, c.chosen) == ("careful", "careful", "bold")
    assert (a.difference, b.difference, c.difference) == (0.01, 0.01, -0.3)
    alone = leave_one_out({"bold": gains["bold"]}, ["a", "c"], "plain")
    assert [row.chosen for row in alone] == ["plain", "bold"]
    assert alone[0].difference == 0
    del gains["bold"]
    assert leave_one_out(gains, ["c"], "plain")[0].difference == 0


@given(st.data())
def test_a_scene_has_no_part_in_what_is_chosen_without_it(data: st.DataObject) -> None:
    values = st.floats(-0.2, 0.2)
    scenes = ["a", "b", "c", "d"]
    gains = {
        name: {scene: made_up(data.draw(values)) for scene in scenes} for name in ("x", "y", "z")
    }
    before = leave_one_out(gains, ["b"], "plain")[0]
    for by_scene in gains.values():
        by_scene["b"] = made_up(data.draw(values))
    after = leave_one_out(gains, ["b"], "plain")[0]
    assert after.chosen == before.chosen
    own = gains.get(after.chosen)
    assert after.difference == (own["b"].difference.value if own else 0)


def test_maps_whose_unsure_pixels_are_filled_are_kept_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing_runs, "_mapped", lambda *_: {"engine": np.zeros((1, 6, 6))})
    scene = TruthScene("a", SceneSettings(RasterFiles(image=Path("a.tif"), coarse=Path("b.tif"))))
    words = ["inference.hide_below=0.6"], ["inference.hide_below=0.7"]
    words = (*words, [*words[1], "inference.fill.evidence_weight=2"], [])
    variants = [choosing_runs.Variant("v", tuple(w)).settings for w in words]
    names = [choosing_runs.kept(tmp_path, scene, settings) for settings in variants]
    assert len(set(names)) == len(names)
    assert choosing_runs.kept(tmp_path, scene, variants[0]) == names[0]
