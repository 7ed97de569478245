from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from landcover_pnp.errors import GridError, LegendError
from landcover_pnp.evidence.coarse_classes import CoarseClasses, coarse_probabilities
from landcover_pnp.evidence.settings import WeakLabelSettings
from landcover_pnp.evidence.weak_labels import (
    WeakLabels,
    class_given_code,
    cooccurrence,
    weak_labels,
)
from landcover_pnp.legend import CLASS_COUNT
from landcover_pnp.legends.coarse_legend import CoarseLegend

SEEDS = st.integers(0, 2**32 - 1)
SETTINGS = WeakLabelSettings()
NLCD = CoarseLegend.load("nlcd")
DEFINITIONS = NLCD.definitions
NUMBERS = np.arange(len(NLCD.codes) + 1, dtype=np.uint8)
ROW = {code: row for row, code in enumerate(NLCD.codes)}
NUMBER = {code: row + 1 for code, row in ROW.items()}


def labelled(
    nlcd: NDArray[np.integer],
    matrix: NDArray[np.float64],
    roads: NDArray[np.float32] | None,
    buildings: NDArray[np.float32] | None,
    water: NDArray[np.float32] | None,
    valid: NDArray[np.bool_],
    settings: WeakLabelSettings,
    resolution_m: float,
) -> WeakLabels:
    """Weak labels by NLCD codes alone."""
    numbers = np.zeros(nlcd.shape, np.uint8)
    for code, number in NUMBER.items():
        numbers[nlcd == code] = number
    maps = [CoarseClasses(numbers, matrix, settings.blur(NLCD.blur))]
    coarse = coarse_probabilities(maps, {}, valid, resolution_m)
    return weak_labels(coarse, roads, buildings, water, valid, settings, resolution_m)


def random_nlcd(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Blocks of 7 px, as 30 m pixels are at 4 m."""
    coarse = rng.choice([0, *NLCD.codes], size=tuple(-(-n // 7) for n in shape))
    return np.kron(coarse.astype(np.uint8), np.ones((7, 7), np.uint8))[: shape[0], : shape[1]]


@given(SEEDS, st.sampled_from([1.0, 4.0, 10.0]), st.floats(0, 1))
def test_probabilities_sum_to_one(seed: int, resolution_m: float, known: float) -> None:
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 40)), int(rng.integers(1, 40)))
    layers = [rng.random(shape, np.float32) * (rng.random(shape) < 0.2) for _ in range(3)]
    valid = rng.random(shape) < known
    matrix = np.eye(CLASS_COUNT)[rng.integers(0, CLASS_COUNT, len(NLCD.codes))]
    weak = labelled(random_nlcd(rng, shape), matrix, *layers, valid, SETTINGS, resolution_m)
    assert weak.probabilities.dtype == np.float32
    assert weak.probabilities.shape == (CLASS_COUNT, *shape)
    assert (weak.probabilities >= 0).all()
    np.testing.assert_allclose(weak.probabilities.sum(0), 1, atol=1e-6)
    assert (weak.probabilities[:, ~valid] == np.float32(1 / CLASS_COUNT)).all()
    assert 0 <= weak.uniform_count <= valid.sum()


@given(SEEDS)
def test_blurring_expected_classes_is_blurring_one_hot_nlcd(seed: int) -> None:
    rng = np.random.default_rng(seed)
    nlcd, valid = random_nlcd(rng, (24, 31)), rng.random((24, 31)) < 0.9
    identity = np.eye(len(NLCD.codes))
    one_hot = labelled(nlcd, identity, None, None, None, valid, SETTINGS, 4.0)
    expected = np.einsum("nc,nyx->cyx", DEFINITIONS, one_hot.probabilities)
    weak = labelled(nlcd, DEFINITIONS, None, None, None, valid, SETTINGS, 4.0)
    np.testing.assert_allclose(weak.probabilities[:, valid], expected[:, valid], atol=1e-5)


@given(SEEDS, st.sampled_from(NLCD.codes))
def test_one_nlcd_class_everywhere_gives_its_row(seed: int, code: int) -> None:
    """Neither borders nor gaps in NLCD or image may show."""
    valid = np.random.default_rng(seed).random((30, 20)) < 0.6
    nlcd = np.full(valid.shape, code, np.uint8)
    nlcd[5:9, 3:8] = 0
    weak = labelled(nlcd, DEFINITIONS, None, None, None, valid, SETTINGS, 4.0)
    rows = np.broadcast_to(DEFINITIONS[ROW[code], :, None], (CLASS_COUNT, valid.sum()))
    np.testing.assert_allclose(weak.probabilities[:, valid], rows, atol=1e-5)


def test_invalid_pixels_do_not_shine_through() -> None:
    nlcd = np.full((30, 30), 42, np.uint8)
    nlcd[:, 15:] = 11
    valid = nlcd == 42
    weak = labelled(nlcd, DEFINITIONS, None, None, None, valid, SETTINGS, 4.0)
    forest = np.broadcast_to(DEFINITIONS[ROW[42], :, None], (CLASS_COUNT, valid.sum()))
    np.testing.assert_allclose(weak.probabilities[:, valid], forest, atol=1e-5)


@pytest.mark.parametrize(("layer", "position"), [("roads", 1), ("buildings", 1), ("water", 0)])
def test_objects_are_added_to_their_class(layer: str, position: int) -> None:
    nlcd = np.full((21, 21), 71, np.uint8)
    valid = np.ones(nlcd.shape, np.bool_)
    objects = np.zeros(nlcd.shape, np.float32)
    objects[10, 10] = 0.9
    layers = dict.fromkeys(["roads", "buildings", "water"]) | {layer: objects}
    point = replace(SETTINGS, road_radius_m=0, building_radius_m=0, water_radius_m=0)
    box = replace(SETTINGS, road_radius_m=4, building_radius_m=4, water_radius_m=4)
    expected = DEFINITIONS[ROW[71]].copy()
    for settings, share, reach in ((point, 0.9, 0), (box, 0.1, 1)):
        weak = labelled(
            nlcd, DEFINITIONS, **layers, valid=valid, settings=settings, resolution_m=4.0
        )
        p = weak.probabilities
        added = expected.copy()
        added[position] += share
        np.testing.assert_allclose(p[:, 10, 10], added / (1 + share), atol=1e-6)
        changed = np.abs(p[position] - expected[position]) > 1e-4
        assert changed.sum() == (2 * reach + 1) ** 2


def test_where_nothing_is_known_labels_are_uniform_and_counted() -> None:
    nlcd = np.zeros((40, 100), np.uint8)
    nlcd[:, :10] = 24
    valid = np.ones(nlcd.shape, np.bool_)
    valid[:, 90:] = False
    roads = np.zeros(nlcd.shape, np.float32)
    roads[:, 60:81] = np.random.default_rng(0).random((40, 21)) + 0.1
    weak = labelled(nlcd, DEFINITIONS, roads, None, None, valid, SETTINGS, 4.0)
    reach = 13  # half of 101 m at 4 m; roads reach 1 px
    nothing = valid.copy()
    nothing[:, : 10 + reach] = nothing[:, 59:82] = False
    assert weak.uniform_count == nothing.sum()
    assert (weak.probabilities[:, nothing] == np.float32(0.2)).all()
    np.testing.assert_array_equal(weak.probabilities[1, :, 59:82], 1)


@given(SEEDS)
def test_cooccurrence_counts_and_normalises(seed: int) -> None:
    rng = np.random.default_rng(seed)
    numbers = rng.choice(NUMBERS, (13, 17))
    labels = rng.integers(0, CLASS_COUNT + 1, numbers.shape)
    counts = cooccurrence(numbers, labels, NLCD)
    assert counts.shape == (len(NLCD.codes), CLASS_COUNT)
    for number in NUMBERS[1:]:
        for label in range(1, CLASS_COUNT + 1):
            both = (numbers == number) & (labels == label)
            assert counts[number - 1, label - 1] == both.sum()
    assert counts.sum() == ((numbers > 0) & (labels > 0)).sum()
    halves = sum(cooccurrence(numbers[p], labels[p], NLCD) for p in (slice(5), slice(5, None)))
    np.testing.assert_array_equal(halves, counts)
    matrix = class_given_code(counts, NLCD)
    np.testing.assert_allclose(matrix.sum(1), 1)
    seen = counts.sum(1) > 0
    np.testing.assert_allclose(matrix[seen] * counts[seen].sum(1, keepdims=True), counts[seen])
    np.testing.assert_array_equal(matrix[~seen], DEFINITIONS[~seen])


def test_definitions_say_what_the_legend_says() -> None:
    np.testing.assert_allclose(DEFINITIONS.sum(1), 1)
    assert (DEFINITIONS > 0).all()
    impervious = DEFINITIONS[[ROW[code] for code in (21, 22, 23, 24)], 1]
    for share, low, high in zip(impervious, (0, 0.2, 0.5, 0.8), (0.2, 0.5, 0.8, 1), strict=True):
        assert low < share < high
    most = {11: 0, 21: 4, 31: 2, 41: 3, 42: 3, 43: 3, 52: 3, 71: 4, 81: 4, 82: 4, 90: 3}
    for code, position in most.items():
        assert DEFINITIONS[ROW[code]].argmax() == position


def test_unknown_classes_and_shapes_are_refused() -> None:
    numbers = np.full((4, 4), 11, np.uint8)
    numbers[0, 0] = 17
    with pytest.raises(LegendError, match=r"17 \(1 px\)"):
        cooccurrence(numbers, np.ones_like(numbers), NLCD)
    with pytest.raises(LegendError, match=r"7 \(16 px\)"):
        cooccurrence(np.full_like(numbers, 11), np.full_like(numbers, 7), NLCD)
    with pytest.raises(GridError, match="same grid"):
        cooccurrence(numbers, np.ones((4, 5), np.uint8), NLCD)
