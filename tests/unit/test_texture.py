"""What a forest sees of a pixel."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from landcover_pnp.box_filter import box_mean
from landcover_pnp.student.texture import BoxMeans, feature_count, texture

RADII = st.lists(st.integers(0, 12), min_size=1, max_size=4)
SIDES = st.integers(1, 70)


def noise(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random(shape, np.float32)


@settings(max_examples=40)
@given(height=SIDES, width=SIDES, radii=RADII)
def test_means_are_those_of_the_windows_inside_the_plane(
    height: int, width: int, radii: list[int]
) -> None:
    means, boxes = (
        np.empty((len(radii), height, width), np.float32),
        BoxMeans((height, width), radii),
    )
    for seed in (1, 2):  # nothing of one plane is left in the next one's
        plane = noise(height, width, seed=seed)
        boxes.of(plane, means)
        for radius, mean in zip(radii, means, strict=True):
            np.testing.assert_allclose(mean, box_mean(plane.astype(float), radius), rtol=1e-6)


@settings(max_examples=20)
@given(top=st.integers(0, 40), left=st.integers(0, 40), radii=RADII)
def test_a_pixel_has_the_same_bits_in_every_plane_that_holds_its_window(
    top: int, left: int, radii: list[int]
) -> None:
    image, reach = noise(3, 80, 80), max(radii)
    part = image[:, top : top + 2 * reach + 8, left : left + 2 * reach + 8]
    inner = slice(reach, reach + 8)
    found = texture(image, radii)[:, top + reach : top + reach + 8, left + reach : left + reach + 8]
    np.testing.assert_array_equal(texture(part, radii)[:, inner, inner], found[:, :8, :8])


def test_features_are_colours_contrasts_and_both_in_boxes() -> None:
    image = noise(4, 20, 30)
    image[:, :5, :5] = 0  # no data: no contrast, no division by it
    found = texture(image, [1, 3])
    assert found.shape == (feature_count(4, 2), 20, 30)
    np.testing.assert_array_equal(found[:4], image)
    total = np.maximum(image[1:] + image[:-1], 1e-9)
    np.testing.assert_allclose(found[4:7], np.diff(image, axis=0) / total, rtol=1e-5)
    brightness = image.mean(axis=0, dtype=np.float64)
    for radius, block in zip((1, 3), found[7:].reshape(2, 8, 20, 30), strict=True):
        np.testing.assert_allclose(block[:7], box_mean(found[:7], radius), rtol=1e-4, atol=1e-6)
        variance = box_mean(brightness**2, radius) - box_mean(brightness, radius) ** 2
        np.testing.assert_allclose(block[7] ** 2, np.maximum(variance, 0), atol=1e-6)
