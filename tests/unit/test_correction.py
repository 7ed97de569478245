"""What edits do to the map around them: held, spread, ended."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from landcover_pnp.errors import SettingsError
from landcover_pnp.legend import CLASS_COUNT
from landcover_pnp.pipeline.correction_settings import CorrectSettings
from landcover_pnp.storage.probabilities import PROBABILITY_ONE, decode, encode
from landcover_pnp.student.correction import REACHES, Correction, fading, nearest_edit
from landcover_pnp.student.image_models import Forest, TrainingWindow
from landcover_pnp.student.known_ground import KnownGround, weighted
from landcover_pnp.student.settings import ForestSettings, UNetSettings
from landcover_pnp.student.unet import _Crops

SIDE = 48
GRID = GeoBox((SIDE, SIDE), Affine(1, 0, 0, 0, -1, 0), "EPSG:26917")
METRES = (1.0, 1.0)
PLAIN = Correction(KnownGround(Path("edits.tif"), GRID, 0.1), 4.0, 3.0, 2.0)


def some_map(seed: int, side: int = SIDE) -> NDArray[np.uint16]:
    p = np.random.default_rng(seed).dirichlet(np.ones(CLASS_COUNT), (side, side))
    return encode(np.moveaxis(p, -1, 0).astype(np.float32))


def applied(
    codes: NDArray[np.uint8], correction: Correction = PLAIN, seed: int = 0
) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    stored = some_map(seed, len(codes))
    learned = decode(some_map(seed + 1, len(codes)))
    return stored, correction.applied(stored, learned, *nearest_edit(codes, METRES))


@given(st.integers(0, 9), st.integers(1, 5))
def test_edits_are_held_and_the_rest_stays_bit_for_bit(seed: int, code: int) -> None:
    codes = np.zeros((SIDE, SIDE), np.uint8)
    codes[2:6, 2:6] = code
    stored, found = applied(codes, seed=seed)
    held = np.zeros(CLASS_COUNT, np.uint16)
    held[code - 1] = PROBABILITY_ONE
    assert (found[:, 2:6, 2:6] == held[:, None, None]).all()
    distance, _ = nearest_edit(codes, METRES)
    beyond = distance >= REACHES * 4.0
    assert beyond.any()
    assert (found[:, beyond] == stored[:, beyond]).all()
    near = (distance > 0) & (distance < 3)
    assert (found[:, near] != stored[:, near]).any(axis=0).all()


@given(st.integers(0, 9), st.integers(1, 5))
def test_edits_are_held_though_they_reach_nowhere(seed: int, code: int) -> None:
    codes = np.zeros((SIDE, SIDE), np.uint8)
    codes[2:6, 2:6] = code
    alone = dataclasses.replace(PLAIN, learning_reach_m=0.0, reach_m=0.0)
    stored, found = applied(codes, alone, seed)
    assert (found[code - 1, 2:6, 2:6] == PROBABILITY_ONE).all()
    assert (found[:, codes == 0] == stored[:, codes == 0]).all()


@pytest.mark.parametrize("name", ["learning_reach_m", "reach_m"])
@pytest.mark.parametrize("value", [-1.0, 300.1, 10_000.0, float("nan")])
def test_reaches_are_bounded(name: str, value: float) -> None:
    CorrectSettings(**{name: 300.0})
    with pytest.raises(SettingsError, match=f"{name} is {value}") as error:
        CorrectSettings(**{name: value})
    assert error.value.expected == "0 to 300"


def test_no_data_stays_no_data_in_an_edit_too() -> None:
    codes = np.zeros((SIDE, SIDE), np.uint8)
    codes[2:6, 2:6] = 3
    stored = some_map(0)
    stored[:, :4] = 0
    learned = decode(some_map(1))
    found = PLAIN.applied(stored, learned, *nearest_edit(codes, METRES))
    assert not found[:, :4].any()
    assert found[2, 4, 4] == PROBABILITY_ONE


def test_beside_an_edit_its_class_gains_the_log_odds_that_were_asked_for() -> None:
    codes = np.zeros((SIDE, SIDE), np.uint8)
    codes[20, 20] = 4
    flat = np.full((CLASS_COUNT, SIDE, SIDE), PROBABILITY_ONE // CLASS_COUNT, np.uint16)
    only = dataclasses.replace(PLAIN, learning_reach_m=0.0)
    p = decode(only.applied(flat, decode(some_map(1)), *nearest_edit(codes, METRES)))
    odds = np.log((p[3] + 1e-9) / (p[0] + 1e-9))
    for step in (1, 2, 5):
        expected = 2 * float(fading(np.array([step], np.float32), 3.0)[0])
        assert odds[20, 20 + step] == pytest.approx(expected, abs=0.01)
    assert p[3, 20, 21] > p[3, 20, 23] > p[3, 20, 29] > 0.2


@given(st.lists(st.tuples(st.integers(0, 31), st.integers(0, 31), st.integers(1, 5)), min_size=1))
def test_the_nearest_edit_does_not_depend_on_the_window(places: list[tuple[int, int, int]]) -> None:
    codes = np.zeros((64, 64), np.uint8)
    for y, x, code in places:
        codes[y, x] = code
    distance, nearest = nearest_edit(codes, METRES)
    part_distance, part_nearest = nearest_edit(codes[:32, :40], METRES)
    np.testing.assert_array_equal(part_distance, distance[:32, :40])
    np.testing.assert_array_equal(part_nearest, nearest[:32, :40])
    turned = nearest_edit(np.ascontiguousarray(codes[::-1]), METRES)[1]
    np.testing.assert_array_equal(turned[::-1], nearest)


def test_a_weight_falls_from_one_to_nothing() -> None:
    d = np.linspace(0, 60, 200).astype(np.float32)
    weight = fading(d, 10.0)
    assert weight[0] == 1
    assert (np.diff(weight) <= 0).all()
    assert not weight[d >= 50].any()
    assert weight[d < 49].all()
    assert weight[np.searchsorted(d, 10)] == pytest.approx(np.exp(-1), abs=0.02)
    assert fading(np.array([0, 1], np.float32), 0.0).tolist() == [1, 0]


def window(target: int, side: int, detail: int, weight: float = 1.0) -> TrainingWindow:
    """A window whose colour is its class."""
    image = np.full((3, side, side), target / 10, np.float32)
    px = side // 4 * detail
    classes = np.zeros((CLASS_COUNT, px, px), np.float32)
    classes[target - 1] = 1
    return TrainingWindow(image, classes, np.full((px, px), weight, np.float32), detail)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_known_ground_is_the_share_that_was_asked_for(share: float) -> None:
    others, said = [window(1, 64, 1, 0.3)] * 3, [window(2, 16, 4), window(3, 32, 4)]
    heavy = weighted(said, others, share)
    mass = sum(float(w.weight.sum()) for w in heavy)
    assert mass / (mass + sum(float(w.weight.sum()) for w in others)) == pytest.approx(share)
    ratios = [float(h.weight[0, 0]) for h in heavy]
    assert ratios[0] == ratios[1]


def test_a_student_learns_from_map_and_edits_at_once() -> None:
    model = Forest(ForestSettings(trees=2, leaf_px=2, sample_px=900), 1.0, 3)
    others = [window(1, 64, 1), window(4, 64, 1)]
    model.fit([*others, *weighted([window(3, 32, 4)], others, 0.4)], 0)
    for target in (1, 3, 4):
        p = model.predict(np.full((3, 16, 16), target / 10, np.float32))
        assert p.mean(axis=(1, 2)).argmax() == target - 1


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_batches_of_a_network_hold_edits_for_their_share(share: float) -> None:
    others = [window(1, 64, 1), window(4, 64, 1)]
    said = weighted([window(3, 32, 4)], others, share)
    settings = UNetSettings(channels=[8], crop_px=4, batch_size=2)
    sizes = [target.shape[-1] for _, target, _ in _Crops([*others, *said], settings, 0, 400)]
    assert set(sizes) == {4, 16}, "a batch holds targets of one size"
    assert sizes.count(16) / 400 == pytest.approx(share, abs=0.08)
    alone = [target.shape[-1] for _, target, _ in _Crops(others, settings, 0, 5)]
    assert alone == [4] * 5
