"""Borders of indices follow the scene, and where it does not tell two kinds apart there is none."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from landcover_pnp.evidence.index_borders import (
    Border,
    Ground,
    IndexBorders,
    class_given_image,
    class_given_indices,
    find_borders,
)
from landcover_pnp.evidence.index_values import UNUSED
from landcover_pnp.legend import WORKING

BANDS = ("red", "green", "blue", "nir")
IMPERVIOUS, SOIL, TREES, GRASS = (
    WORKING.index(name)
    for name in ("impervious", "soil and barren", "trees and forest", "grass and herbaceous")
)
ROAD_GREY = (0.5, 0.5, 0.48, 0.4)
KINDS = {
    Ground.ROAD: ROAD_GREY,
    Ground.FOREST: (0.15, 0.22, 0.13, 0.6),
    Ground.UNKNOWN: (0.3, 0.42, 0.2, 0.7),  # lawns
}
Sample = tuple[NDArray[np.float32], NDArray[np.uint8]]


def sample(kinds: dict[Any, tuple[float, ...]], n: int = 500, noise: float = 0.01) -> Sample:
    """(band, n) pixels and their ground: ``n`` of each kind, in light that varies a little."""
    rng = np.random.default_rng(0)
    pixels, ground = [], []
    for kind, colour in kinds.items():
        light = rng.normal(1, 0.1, n)
        pixels.append(np.array(colour)[:, None] * light + rng.normal(0, noise, (len(colour), n)))
        ground.append(np.full(n, kind, np.uint8))
    return np.clip(np.concatenate(pixels, 1), 0, 1).astype(np.float32), np.concatenate(ground)


def classes(pixels: NDArray[np.float32], borders: IndexBorders) -> NDArray[np.float32]:
    return class_given_image(pixels[:, None], borders)[:, 0]


@pytest.mark.parametrize("count", [3, 4])
@pytest.mark.parametrize("haze", [0.0, 0.1])
@pytest.mark.parametrize("light", [0.5, 1.0, 1.4])
def test_vegetation_is_told_from_roads_in_any_light(count: int, haze: float, light: float) -> None:
    pixels, ground = sample(KINDS)
    pixels = np.clip(pixels[:count] * light * (1 - haze) + haze, 0, 1)
    borders = find_borders(pixels, BANDS[:count], ground)
    assert borders.vegetation
    fits = classes(pixels, borders)
    road, forest = ground == Ground.ROAD, ground == Ground.FOREST
    lawn = ground == Ground.UNKNOWN
    assert (fits[IMPERVIOUS] > fits[TREES])[road].mean() > 0.9
    assert (fits[TREES] > fits[IMPERVIOUS])[forest | lawn].mean() > 0.95
    assert (fits[GRASS] > fits[IMPERVIOUS])[lawn].mean() > 0.95
    assert fits[GRASS][lawn].mean() > 2 * fits[GRASS][forest].mean()  # grass is not dark


def test_a_forest_without_leaves_is_no_soil() -> None:
    brown = (0.45, 0.42, 0.38, 0.36)  # as grey as a road
    pixels, ground = sample({**KINDS, Ground.FOREST: brown})
    borders = find_borders(pixels, BANDS, ground)
    assert borders.vegetation is None
    assert "NDVI does not tell" in borders.notes[0]
    fits = classes(pixels, borders)[:, ground == Ground.FOREST]
    assert (fits[TREES] == 1).all()
    assert (fits[SOIL] <= fits[TREES]).all()


@given(shift=st.floats(-0.1, 0.1), spread=st.floats(0.05, 0.2))
@settings(max_examples=15, deadline=None)
def test_what_does_not_separate_does_not_count(shift: float, spread: float) -> None:
    """One normal distribution of an index, wherever roads and forest lie in it."""
    rng = np.random.default_rng(1)
    green = rng.normal(shift, spread, 4000).clip(-0.9, 0.9)
    pixels = np.stack([0.4 * (1 - green), 0.4 * (1 + green), np.full(4000, 0.4)])
    ground = rng.choice([Ground.UNKNOWN, Ground.ROAD, Ground.FOREST], 4000).astype(np.uint8)
    assert find_borders(pixels.astype(np.float32), BANDS[:3], ground).vegetation is None


def test_bare_yards_are_told_from_paving_though_all_is_dry() -> None:
    yard, turf = (0.62, 0.56, 0.47, 0.62), (0.3, 0.36, 0.22, 0.5)
    pixels, ground = sample({Ground.ROAD: ROAD_GREY, Ground.UNKNOWN: yard, 9: turf})
    fits = classes(pixels, find_borders(pixels, BANDS, ground))
    assert (fits[SOIL] > fits[IMPERVIOUS])[ground == Ground.UNKNOWN].mean() > 0.95
    assert (fits[IMPERVIOUS] > fits[SOIL])[ground == Ground.ROAD].mean() > 0.9
    assert (fits[GRASS] > fits[SOIL])[ground == 9].mean() > 0.95


def test_roofs_of_tiles_do_not_make_the_border_of_soil() -> None:
    yard, tiles = (0.55, 0.52, 0.46, 0.5), (0.6, 0.35, 0.25, 0.5)
    kinds = {Ground.ROAD: ROAD_GREY, Ground.UNKNOWN: yard, Ground.FOREST: KINDS[Ground.FOREST]}
    without = find_borders(*pixels_of(kinds)).redness
    with_tiles = find_borders(*pixels_of({**kinds, Ground.ROOF: tiles})).redness
    assert without
    assert with_tiles
    assert with_tiles.middle == pytest.approx(without.middle, abs=0.01)


def test_pale_paving_near_the_border_does_not_say_how_bright_grass_is() -> None:
    """Without forest, the few pixels of it that look green are far brighter than any lawn."""
    pale, trees, lawn = (0.78, 0.8, 0.75, 0.6), (0.15, 0.25, 0.12, 0.6), (0.3, 0.42, 0.2, 0.7)
    kinds = {Ground.ROAD: ROAD_GREY, Ground.UNKNOWN: pale, 9: trees, 10: lawn}
    pixels, ground = sample(kinds, 2000)
    borders = find_borders(pixels[:3], BANDS[:3], ground)
    assert borders.brightness
    assert 0.18 < borders.brightness.middle < 0.3
    fits = classes(pixels[:3], borders)
    assert fits[GRASS][ground == 10].mean() > 2 * fits[GRASS][ground == 9].mean()


def pixels_of(kinds: dict[Any, tuple[float, ...]]) -> tuple[Any, Any, Any]:
    pixels, ground = sample(kinds)
    return pixels, BANDS, ground


@pytest.mark.parametrize("there", [0, 1, 2])
def test_swapped_bands_take_no_index_with_them_but_say_so(there: int) -> None:
    pixels, ground = sample(KINDS)
    pixels[[there, 3]] = pixels[[3, there]]
    borders = find_borders(pixels, BANDS, ground)
    assert borders.bands[there] == borders.bands[3] == UNUSED
    assert "swapped" in borders.notes[0]
    assert (borders.vegetation is not None) == (there == 2)  # red and green are left
    assert (borders.redness is not None) == (there == 1)  # red and blue are left
    assert borders.brightness is None


@pytest.mark.parametrize("n", [0, 1, 30])
@pytest.mark.parametrize("count", [2, 3, 4])
def test_few_pixels_tell_nothing(n: int, count: int) -> None:
    pixels, ground = sample(KINDS, n)
    borders = find_borders(pixels[:count], BANDS[:count], ground)
    assert not borders.count
    assert len(borders.notes) == 3
    np.testing.assert_array_equal(classes(pixels[:count], borders), 1)


def test_grey_images_tell_nothing_by_colour() -> None:
    pixels, ground = sample(KINDS)
    grey = pixels[:1].repeat(3, axis=0)
    borders = find_borders(grey, BANDS[:3], ground)
    assert borders.vegetation is None
    assert any("no colour" in note for note in borders.notes)


@given(
    values=st.lists(st.floats(-1, 1, width=32), min_size=3, max_size=3),
    middle=st.floats(-0.5, 0.5),
    slope=st.floats(1e-3, 0.5),
)
def test_nothing_is_excluded_and_water_may_look_like_anything(
    values: list[float], middle: float, slope: float
) -> None:
    border = Border(middle, slope)
    borders = IndexBorders(BANDS, border, border, border)
    [fits] = class_given_indices(np.array(values)[:, None], borders)
    assert ((fits > 0) & (fits <= 1)).all()
    assert fits[WORKING.index("water")] == 1


def test_without_blue_the_index_of_vegetation_is_left() -> None:
    pixels, ground = sample(KINDS)
    bands = ("red", "green", "nir")
    borders = find_borders(pixels[[0, 1, 3]], bands, ground)
    assert borders.vegetation
    assert borders.brightness is None
    assert borders.redness is None
    assert np.isfinite(classes(pixels[[0, 1, 3]], borders)).all()
