from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import DTypeLike, NDArray
from scipy.ndimage import gaussian_filter
from sklearn.base import clone

from landcover_pnp.errors import GridError, RasterError
from landcover_pnp.evidence.clusters import responsibilities, sample_centres
from landcover_pnp.evidence.local_mixture import LocalGaussianMixture
from landcover_pnp.evidence.settings import ClusterSettings

SEEDS = st.integers(0, 2**32 - 1)
RECORDED = Path(__file__).parents[1] / "fixtures" / "local_mixture_reference.npz"
METHODS = ["local", "gaussian", "kmeans"]


def patches(seed: int, shape: tuple[int, int]) -> NDArray[np.intp]:
    """Random patches of three kinds: (y, x) in 0..2."""
    noise = np.random.default_rng(seed).normal(size=(3, *shape))
    return gaussian_filter(noise, 3, axes=(1, 2)).argmax(0)


def painted(seed: int, shape: tuple[int, int], bands: int = 4) -> NDArray[np.float32]:
    """An image (band, y, x) of such patches with some noise."""
    rng = np.random.default_rng(seed)
    colours = rng.uniform(0.2, 0.8, (3, bands))
    image = np.moveaxis(colours[patches(seed, shape)], -1, 0) + rng.normal(0, 0.03, (bands, *shape))
    return image.clip(0, 1).astype(np.float32)


def mixture(seed: int, **changes: object) -> LocalGaussianMixture:
    options = {"radius": 4, "max_iter": 4, "random_state": seed % 1000} | changes
    return LocalGaussianMixture(3, **options)


# --- the released program ---------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-4), (np.float32, 1e-3)])
@pytest.mark.parametrize("iterations", [1, 5, 6, 30])
def test_reproduces_the_released_program(
    dtype: DTypeLike, tolerance: float, iterations: int
) -> None:
    recorded = np.load(RECORDED)
    image = recorded["image"].astype(dtype)
    estimator = LocalGaussianMixture(
        len(recorded["p0"]),
        radius=int(recorded["radius"]),
        max_iter=iterations,
        warmup_iter=int(recorded["warmup_steps"]),
        warmup_radius=int(recorded["warmup_radius"]),
        init=recorded["p0"],
    )
    p = estimator.fit(image).predict_proba(image)
    assert p.dtype == dtype
    np.testing.assert_allclose(p, recorded[f"p_after_{iterations}"], atol=tolerance)


# --- laws of the mixture ----------------------------------------------------------------------


@settings(max_examples=20)
@given(SEEDS, st.sampled_from([0.05, 0.5, 1.0]))
def test_responsibilities_sum_to_one_and_are_uniform_where_not_valid(
    seed: int, share: float
) -> None:
    image, valid = painted(seed, (19, 26)), np.random.default_rng(seed).random((19, 26)) < share
    image[:, ~valid] = np.nan
    estimator = mixture(seed).fit(image, valid=valid)
    p = estimator.predict_proba(image)
    assert p.dtype == np.float32
    assert (p[:, valid] > 0).all()
    np.testing.assert_allclose(p.sum(0), 1, atol=1e-6)
    assert (p[:, ~valid] == np.float32(1 / 3)).all()
    np.testing.assert_array_equal(estimator.labels_, np.where(valid, p.argmax(0), -1))
    np.testing.assert_allclose(estimator.weights_.sum(0)[valid], 1, atol=1e-5)
    assert (estimator.variances_ >= np.float32(1e-4)).all()


@settings(max_examples=20)
@given(SEEDS)
def test_invalid_pixels_are_like_what_lies_outside(seed: int) -> None:
    image = painted(seed, (20, 17)).astype(np.float64)
    centres = image[:, [1, 9, 15], [2, 8, 16]].T
    bare = mixture(seed, init=centres).fit(image).predict_proba(image)
    framed = np.pad(image, ((0, 0), (5, 3), (2, 6)), constant_values=0.9)
    valid = np.pad(np.ones(image.shape[1:], np.bool_), ((5, 3), (2, 6)))
    p = mixture(seed, init=centres).fit(framed, valid=valid).predict_proba(framed)
    np.testing.assert_allclose(p[:, 5:-3, 2:-6], bare, atol=1e-7)


@settings(max_examples=20)
@given(SEEDS)
def test_mirrored_images_and_reordered_clusters_give_the_same(seed: int) -> None:
    image = painted(seed, (20, 17)).astype(np.float64)
    centres = image[:, [1, 9, 15], [2, 8, 16]].T
    p = mixture(seed, init=centres).fit(image).predict_proba(image)
    mirrored = image[:, ::-1].swapaxes(1, 2)
    other = mixture(seed, init=centres).fit(mirrored).predict_proba(mirrored)
    np.testing.assert_allclose(other.swapaxes(1, 2)[:, ::-1], p, atol=1e-7)
    other = mixture(seed, init=centres[[2, 0, 1]]).fit(image).predict_proba(image)
    np.testing.assert_allclose(other, p[[2, 0, 1]], atol=1e-7)


def test_is_a_scikit_learn_estimator() -> None:
    image = painted(3, (24, 24))
    estimator = clone(mixture(3, init=image[:, :3, 0].T, variance_floor=1e-3))
    assert estimator.get_params()["variance_floor"] == 1e-3
    labels = clone(estimator).set_params(max_iter=6).fit_predict(image)
    fitted = estimator.set_params(max_iter=6).fit(image)
    np.testing.assert_array_equal(fitted.labels_, labels)
    np.testing.assert_array_equal(fitted.predict(image), labels)
    assert fitted.means_.shape == fitted.variances_.shape == (3, 4, 24, 24)


def test_the_seed_of_the_kmeans_start_decides_the_bytes() -> None:
    image = np.random.default_rng(0).random((3, 30, 30), np.float32)
    first, same, other = (mixture(seed).fit(image).predict_proba(image) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


def test_follows_colours_that_drift_where_one_fit_for_all_fails() -> None:
    kinds = patches(0, (48, 160)) > 0
    light = np.linspace(0, 0.6, 160)
    image = 0.15 + 0.15 * kinds + light + np.random.default_rng(0).normal(0, 0.01, kinds.shape)
    image = np.repeat(image[None].astype(np.float32), 3, axis=0)
    valid = np.ones(kinds.shape, np.bool_)

    def agreement(labels: NDArray[np.intp]) -> float:
        same = float((labels == kinds).mean())
        return max(same, 1 - same)

    start = np.where(np.random.default_rng(1).random(kinds.shape) < 0.3, ~kinds, kinds)
    start = np.stack([1.0 - start, start])  # wrong in 30 % of the pixels
    local = LocalGaussianMixture(2, radius=15, init=start).fit_predict(image)
    option = ClusterSettings(method="gaussian", clusters=2, contrasts=False)
    centres = sample_centres(image.reshape(3, -1).T, option, 0)
    everywhere = responsibilities(image, valid, centres, option, 0).argmax(0)
    assert agreement(local) > 0.98
    assert agreement(everywhere) < 0.8


def test_wrong_shapes_and_empty_images_are_refused() -> None:
    image = painted(0, (12, 12))
    with pytest.raises(GridError, match="centres"):
        mixture(0, init=np.zeros((3, 3))).fit(image)
    with pytest.raises(GridError, match="vary in space"):
        mixture(0).fit(image).predict_proba(image[:, :-1])
    with pytest.raises(RasterError, match="2 valid pixels"):
        mixture(0).fit(image, valid=np.eye(12, dtype=np.bool_) & (np.arange(12) < 2))


# --- the door ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bands", [3, 4])
@pytest.mark.parametrize("valid_px", [0, 1, 4, 300])
def test_every_method_gives_probabilities_on_any_tile(
    method: str, bands: int, valid_px: int
) -> None:
    option = ClusterSettings(method=method, radius_px=4)
    image = painted(1, (20, 30), bands)
    centres = sample_centres(image.reshape(bands, -1).T, option, 0)
    assert centres.dtype == np.float32
    assert centres.shape == (5, bands)
    valid = np.zeros((20, 30), np.bool_)
    valid.flat[:valid_px] = True
    image[:, ~valid] = np.nan
    p = responsibilities(image, valid, centres, option, 0)
    assert p.dtype == np.float32
    np.testing.assert_allclose(p.sum(0), 1, atol=1e-6)
    assert (p[:, ~valid] == np.float32(0.2)).all()
    np.testing.assert_array_equal(p, responsibilities(image, valid, centres, option, 0))


@pytest.mark.parametrize("method", METHODS)
def test_an_image_of_one_colour_is_no_failure(method: str) -> None:
    option = ClusterSettings(method=method)
    image = np.full((3, 12, 12), 0.4, np.float32)
    centres = sample_centres(image.reshape(3, -1).T, option, 0)
    p = responsibilities(image, np.ones((12, 12), np.bool_), centres, option, 0)
    np.testing.assert_allclose(p.sum(0), 1, atol=1e-6)
    np.testing.assert_allclose(p, p[:, :1, :1] * np.ones((12, 12)), atol=1e-4)


@pytest.mark.parametrize("method", ["local", "kmeans"])
def test_contrasts_tell_colours_apart_that_brightness_hides(method: str) -> None:
    rng = np.random.default_rng(0)
    kinds = patches(5, (60, 60)) > 0
    brightness = rng.uniform(0.2, 0.7, kinds.shape)
    image = np.stack([brightness, brightness + 0.08 * kinds, brightness + 0.01])
    image = (image + rng.normal(0, 0.01, image.shape)).astype(np.float32)
    valid = np.ones(kinds.shape, np.bool_)

    def purity(option: ClusterSettings) -> float:
        centres = sample_centres(image.reshape(3, -1).T, option, 0)
        labels = responsibilities(image, valid, centres, option, 0).argmax(0)
        shares = [np.bincount(kinds[labels == c], minlength=2) for c in range(option.clusters)]
        return float(np.sum(np.max(shares, axis=1)) / kinds.size)

    option = ClusterSettings(method=method)
    assert purity(option) > purity(replace(option, contrasts=False)) + 0.05


def test_a_scene_with_fewer_pixels_than_clusters_is_refused() -> None:
    with pytest.raises(RasterError, match="4 valid pixels"):
        sample_centres(np.zeros((4, 3), np.float32), ClusterSettings(), 0)


def test_threads_change_nothing() -> None:
    image = painted(0, (40, 50))
    one, two = (mixture(0, n_jobs=jobs).fit(image).predict_proba(image) for jobs in (1, 2))
    np.testing.assert_array_equal(one, two)
