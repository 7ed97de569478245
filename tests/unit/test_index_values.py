"""Indices of the bands there are, and bands that no index may take."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from landcover_pnp.evidence.index_values import UNUSED, index_values, usable_bands

BANDS = ("red", "green", "blue", "nir")
LAWN = {"red": 0.2, "green": 0.4, "blue": 0.1, "nir": 0.8}


@pytest.mark.parametrize("bands", [p for n in (2, 3, 4) for p in itertools.permutations(BANDS, n)])
def test_indices_are_told_by_the_bands_there_are(bands: tuple[str, ...]) -> None:
    image = np.array([LAWN[name] for name in bands], np.float32).reshape(-1, 1, 1)
    vegetation, brightness, redness = index_values(image, bands)[:, 0, 0]
    expected = np.nan
    if "red" in bands:
        other = "nir" if "nir" in bands else "green"
        if other in bands:
            expected = (LAWN[other] - 0.2) / (LAWN[other] + 0.2)
    np.testing.assert_allclose(vegetation, expected, rtol=1e-6)
    visible = {"red", "green", "blue"} <= set(bands)
    np.testing.assert_allclose(brightness, 0.7 / 3 if visible else np.nan, rtol=1e-6)
    both = {"red", "blue"} <= set(bands)
    np.testing.assert_allclose(redness, 0.1 / 0.3 if both else np.nan, rtol=1e-6)


def test_black_has_no_index_but_is_no_fault() -> None:
    np.testing.assert_array_equal(index_values(np.zeros((4, 1, 1), np.float32), BANDS), 0)


def ground(seed: int = 0, n: int = 4000) -> NDArray[np.float32]:
    """(R,G,B,NIR) of lawns, trees, paving and soil in any light: visible bands alike."""
    rng = np.random.default_rng(seed)
    kinds = np.array(
        [
            (0.25, 0.35, 0.2, 0.7),
            (0.15, 0.25, 0.15, 0.6),
            (0.5, 0.5, 0.48, 0.4),
            (0.6, 0.5, 0.4, 0.6),
        ]
    )
    light = rng.uniform(0.6, 1.2, n)
    colours = kinds[rng.integers(0, 4, n)].T * light + rng.normal(0, 0.01, (4, n))
    return np.clip(colours, 0, 1).astype(np.float32)


def test_bands_that_are_right_are_all_used() -> None:
    assert usable_bands(ground(), BANDS) == (BANDS, ())
    assert usable_bands(ground()[:3], BANDS[:3]) == (BANDS[:3], ())
    assert usable_bands(ground()[:, :0], BANDS) == (BANDS, ())


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_constant_near_infrared_is_not_used(value: float) -> None:
    pixels = ground()
    pixels[3] = value
    bands, [fault] = usable_bands(pixels, BANDS)
    assert bands == (*BANDS[:3], UNUSED)
    assert "constant" in fault


@pytest.mark.parametrize("copied", [0, 1, 2])
def test_a_copy_of_another_band_is_no_near_infrared(copied: int) -> None:
    pixels = ground()
    pixels[3] = pixels[copied]
    bands, [fault] = usable_bands(pixels, BANDS)
    assert bands == (*BANDS[:3], UNUSED)
    assert f"copy of {BANDS[copied]}" in fault


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_near_infrared_in_another_place_is_seen(order: tuple[int, ...], seed: int) -> None:
    bands, faults = usable_bands(ground(seed)[list(order)], BANDS)
    there = order.index(3)
    if there == 3:
        assert (bands, faults) == (BANDS, ())
        return
    assert [i for i, name in enumerate(bands) if name == UNUSED] == [there, 3]
    assert BANDS[there] in faults[0]
    assert "scene.rasters.bands" in faults[0]
