import dataclasses

import numpy as np
import pytest
from drawn_pixels import (
    COLOURS,
    DORMANT,
    DRY,
    FOREST,
    GRASS,
    GREEN,
    GROUND,
    LOW,
    OPEN,
    PASTURE,
    SHRUB,
    drawn,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from inputs import DEFINITIONS, NLCD

from landcover_pnp.evidence.anchors import ROADS, CityPixels
from landcover_pnp.evidence.city_mix import (
    FEWEST_PX,
    CityMix,
    estimate_mix,
    green_share,
    grey_ground,
)
from landcover_pnp.evidence.settings import RefinementSettings
from landcover_pnp.evidence.spectral_indices import class_given_colour, road_reference

SHARES = st.floats(0, 1)


def estimated(pixels: CityPixels, **changed: float) -> CityMix:
    """The mix of pixels whose kinds of colour are the nearest of ``COLOURS``."""
    distances = np.square(pixels.features[:, :, None] - COLOURS.T[:, None, :]).sum(axis=0)
    word = np.unique(distances.argmin(axis=1), return_inverse=True)[1]
    means = np.stack([np.bincount(word, v) for v in pixels.indices]) / np.bincount(word)
    roads = road_reference(pixels.indices, pixels.place == ROADS)
    fits = np.ones((means.shape[1], 5)) if roads is None else class_given_colour(means, roads)
    chosen = dataclasses.replace(RefinementSettings(), **changed)
    return estimate_mix(pixels, word, fits, DEFINITIONS, GROUND, chosen)


def test_a_desert_is_told_from_a_green_city() -> None:
    assert estimated(drawn((0.9, 0.05, 0.05), DRY)).soil > 0.7
    assert estimated(drawn((0.0, 0.4, 0.6), GREEN)).soil < 0.05


def test_dormant_lawns_amid_forest_are_no_soil() -> None:
    mix = estimated(drawn((0.0, 0.3, 0.7), GREEN, grass=DORMANT))
    assert mix.soil < 0.1
    # The same pixels amid bare shrubland are.
    assert estimated(drawn((0.0, 0.3, 0.7), DRY, grass=DORMANT)).soil > 0.5


@pytest.mark.parametrize("trees", [0.2, 0.5, 0.8])
def test_the_tree_share_of_the_vegetation_is_found(trees: float) -> None:
    pixels = drawn((0.0, trees, 1 - trees), GREEN)
    assert abs(estimated(pixels, keep=0.0).trees - trees) < 0.1
    assert abs(estimated(pixels, keep=1e6).trees - 0.5) < 1e-3


def test_brown_grassland_is_bare_where_shrubland_is() -> None:
    around = {OPEN: 0.3, SHRUB: 0.3, GRASS: 0.2}
    assert estimated(drawn((0.9, 0.0, 0.1), around)).dry_grassland > 0.4
    amid = {OPEN: 0.2, FOREST: 0.4, PASTURE: 0.2, GRASS: 0.1}
    assert estimated(drawn((0.0, 0.1, 0.9), amid, grass=DORMANT)).dry_grassland < 0.2


def test_paved_ground_that_no_map_shows_is_no_soil() -> None:
    paved = {OPEN: float(DEFINITIONS[OPEN, 1]), LOW: float(DEFINITIONS[LOW, 1])}
    pixels = drawn((0.0, 0.4, 0.6), DRY, paved=paved)
    assert estimated(pixels).soil < 0.25  # what is neither green nor paved by NLCD


def test_without_roads_and_buildings_the_classes_around_say_it() -> None:
    dry = estimated(drawn((0.9, 0.05, 0.05), DRY, roads=0))
    green = estimated(drawn((0.0, 0.4, 0.6), GREEN, roads=0))
    assert dry.soil > 0.3 > 0.1 > green.soil
    assert grey_ground(drawn((0.0, 0.4, 0.6), GREEN, roads=0)) is None


def test_roofs_stand_in_for_roads_that_no_map_shows() -> None:
    pixels = drawn((0.9, 0.05, 0.05), DRY, roads=0, buildings=0.2)
    grey = grey_ground(pixels)
    assert grey is not None and abs(np.median(grey)) < 0.02
    assert estimated(pixels).soil > 0.7


def test_a_city_without_developed_ground_has_an_even_mix() -> None:
    mix = estimated(drawn((0.0, 0.5, 0.5), {FOREST: 0.5, PASTURE: 0.5}))
    assert mix.trees == 0.5
    assert mix.soil < 0.1


@given(st.lists(SHARES, min_size=1, max_size=300), st.lists(SHARES, min_size=FEWEST_PX))
@settings(max_examples=50, deadline=None)
def test_a_green_share_is_a_share(green: list[float], grey: list[float]) -> None:
    assert 0 <= green_share(np.array(green), np.array(grey)) <= 1


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_the_green_share_of_a_mixture_is_found(share: float) -> None:
    rng = np.random.default_rng(1)
    grey = rng.normal(0, 0.01, 2000)
    under_trees = np.concatenate([grey, rng.normal(0.1, 0.02, 300)])  # roads that trees hang over
    green = round(share * 4000)
    pixels = np.concatenate([rng.normal(0.1, 0.02, green), rng.normal(0, 0.01, 4000 - green)])
    assert abs(green_share(pixels, under_trees) - share) < 0.08


@given(SHARES, SHARES, SHARES)
@settings(max_examples=50, deadline=None)
def test_a_mix_keeps_what_is_paved_and_water_and_all_anchors(
    soil: float, trees: float, dry: float
) -> None:
    matrix = CityMix(soil, trees, dry).applied(DEFINITIONS, GROUND)
    np.testing.assert_allclose(matrix.sum(axis=1), 1)
    np.testing.assert_array_equal(matrix[:, :2], DEFINITIONS[:, :2])
    anchors = [NLCD.codes.index(code) for code in (11, 12, 31, 41, 42, 43, 81, 82, 90, 95)]
    np.testing.assert_array_equal(matrix[anchors], DEFINITIONS[anchors])
    assert (matrix >= 0).all()
    rest = matrix[OPEN, 2:] / matrix[OPEN, 2:].sum()
    np.testing.assert_allclose(rest, CityMix(soil, trees, dry).shares, atol=1e-12)
