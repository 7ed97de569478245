from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from scipy.ndimage import gaussian_filter

from landcover_pnp.evidence.clusters import responsibilities, sample_centres
from landcover_pnp.evidence.coarse_classes import CoarseClasses, coarse_probabilities
from landcover_pnp.evidence.settings import ClusterSettings, WeakLabelSettings
from landcover_pnp.evidence.weak_labels import class_given_code, cooccurrence, weak_labels
from landcover_pnp.inference.engines.evidence import (
    EvidenceSettings,
    evidence_map,
    match_shares,
    smoothed,
)
from landcover_pnp.legend import CLASS_COUNT, ENVIROATLAS, to_working
from landcover_pnp.legends.coarse_legend import CoarseLegend

SEEDS = st.integers(0, 2**32 - 1)
SETTINGS = EvidenceSettings(radius_px=3)


def random_probabilities(
    rng: np.random.Generator, shape: tuple[int, int, int]
) -> NDArray[np.float32]:
    """Smooth random probabilities (class, y, x)."""
    p = np.exp(3 * gaussian_filter(rng.normal(size=shape), 2, axes=(1, 2)) * 4)
    return (p / p.sum(0)).astype(np.float32)


@st.composite
def evidence(
    draw: st.DrawFn,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Clusters, weak labels and valid pixels of one canvas."""
    rng = np.random.default_rng(draw(SEEDS))
    shape = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    valid = rng.random(shape) < draw(st.sampled_from([0.0, 0.3, 0.9, 1.0]))
    return random_probabilities(rng, (4, *shape)), random_probabilities(rng, (5, *shape)), valid


Canvas = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]


@given(evidence())
def test_probabilities_sum_to_one_where_valid_and_zero_elsewhere(canvas: Canvas) -> None:
    p = evidence_map(*canvas, SETTINGS)
    valid = canvas[2]
    assert p.dtype == np.float32
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(0), valid, atol=1e-6)


@given(evidence())
def test_what_lies_under_no_data_does_not_matter(canvas: Canvas) -> None:
    clusters, weak, valid = canvas
    p = evidence_map(clusters, weak, valid, SETTINGS)
    clusters[:, ~valid] = weak[:, ~valid] = np.nan
    np.testing.assert_array_equal(evidence_map(clusters, weak, valid, SETTINGS), p)


@given(evidence())
def test_the_order_of_clusters_and_classes_does_not_matter(canvas: Canvas) -> None:
    clusters, weak, valid = canvas
    p = evidence_map(clusters, weak, valid, SETTINGS)
    order = [3, 0, 4, 1, 2]
    other = evidence_map(clusters[[2, 3, 1, 0]], weak[order], valid, SETTINGS)
    np.testing.assert_allclose(other, p[order], atol=1e-4)


@given(SEEDS, st.sampled_from([0.0, 0.2, 0.7, 1.0]), st.integers(2, 5))
def test_rounds_are_those_of_the_plain_formula(seed: int, share: float, iterations: int) -> None:
    rng = np.random.default_rng(seed)
    clusters, weak = random_probabilities(rng, (4, 9, 8)), random_probabilities(rng, (5, 9, 8))
    # Boxes as large as the canvas: every sum is over all of it.
    wide = EvidenceSettings(iterations, radius_px=9, weak_share=share, match_radius_px=9)
    r, w = clusters.reshape(4, -1).astype(np.float64), weak.reshape(5, -1).astype(np.float64)
    p = w
    for _ in range(iterations):
        vote = (p @ r.T / r.sum(axis=1)) @ r
        p = p ** (1 - share) * w**share * vote
        p /= p.sum(axis=0)
        p *= (w.sum(axis=1) / p.sum(axis=1))[:, None]
        p /= p.sum(axis=0)
    p *= (w.sum(axis=1) / p.sum(axis=1))[:, None]
    p /= p.sum(axis=0)
    found = evidence_map(clusters, weak, np.ones((9, 8), np.bool_), wide)
    np.testing.assert_allclose(found.reshape(5, -1), p, atol=1e-4)


@given(SEEDS, st.integers(1, 8))
def test_without_clusters_and_pattern_the_weak_labels_stand(seed: int, iterations: int) -> None:
    rng = np.random.default_rng(seed)
    share = rng.dirichlet(np.ones(5)).astype(np.float32)[:, None, None]
    weak = np.broadcast_to(share, (5, 15, 22))
    one_cluster = np.ones((1, 15, 22), np.float32)
    valid = rng.random((15, 22)) < 0.8
    p = evidence_map(one_cluster, weak, valid, replace(SETTINGS, iterations=iterations))
    np.testing.assert_allclose(p[:, valid], weak[:, valid], atol=1e-4)


@settings(max_examples=20)
@given(SEEDS)
def test_rounds_look_no_further_than_their_boxes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    clusters, weak = (random_probabilities(rng, (n, 40, 44)) for n in (4, 5))
    valid = rng.random((40, 44)) < 0.9
    option = EvidenceSettings(iterations=2, radius_px=3, match_radius_px=2)
    window, core = np.s_[:, 2:36, 5:41], np.s_[:, 14:-14, 14:-14]
    whole = evidence_map(clusters, weak, valid, option)[window]
    alone = evidence_map(clusters[window], weak[window], valid[window[1:]], option)
    np.testing.assert_allclose(alone[core], whole[core], atol=1e-4)


@given(evidence())
def test_matching_brings_the_shares_nearer(canvas: Canvas) -> None:
    """Every step of iterative proportional fitting lowers KL(wanted shares || shares)."""
    clusters, weak, valid = canvas
    if not valid.any():
        return
    p = evidence_map(clusters, weak, valid, replace(SETTINGS, iterations=2))
    matched = match_shares(p, weak, valid, radius_px=24)  # one box holds the canvas
    wanted, before, after = (q[:, valid].mean(axis=1) for q in (weak, p, matched))
    assert (wanted * np.log(before / after)).sum() <= 1e-5


@given(SEEDS)
def test_a_class_the_weak_labels_exclude_stays_out(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weak = random_probabilities(rng, (5, 20, 20))
    weak[2] = 0
    weak /= weak.sum(0)
    p = evidence_map(
        random_probabilities(rng, (4, 20, 20)), weak, np.ones((20, 20), np.bool_), SETTINGS
    )
    assert p[2].max() < 1e-6


def test_blurred_labels_become_sharp_along_the_clusters() -> None:
    """Two classes of 30 and 70 %, weak labels without detail, two clusters a class."""
    rng = np.random.default_rng(0)
    field = gaussian_filter(rng.normal(size=(96, 96)), 2)
    truth = (field > np.quantile(field, 0.7)).astype(int)
    one_hot = np.eye(CLASS_COUNT, dtype=np.float32)[truth].transpose(2, 0, 1)
    weak = gaussian_filter(one_hot, 8, axes=(1, 2))
    weak /= weak.sum(0)
    clusters = np.eye(4, dtype=np.float32)[2 * truth + rng.integers(0, 2, truth.shape)]
    valid = np.ones(truth.shape, np.bool_)
    p = evidence_map(clusters.transpose(2, 0, 1), weak, valid, EvidenceSettings())
    assert (weak.argmax(0) == truth).mean() < 0.8
    assert (p.argmax(0) == truth).mean() > 0.99
    np.testing.assert_allclose(p.mean(axis=(1, 2)), weak.mean(axis=(1, 2)), atol=0.05)


def scene(seed: int, size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """An image (band 3, y, x) of random patches in five noisy colours, and weak labels."""
    rng = np.random.default_rng(seed)
    colours = rng.uniform(0.2, 0.8, (CLASS_COUNT, 3))
    fields = gaussian_filter(rng.normal(size=(CLASS_COUNT, size, size)), 4, axes=(1, 2))
    fields += 3 * gaussian_filter(rng.normal(size=fields.shape), 30, axes=(1, 2))
    labels = fields.argmax(0)
    image = np.moveaxis(colours[labels], -1, 0) + rng.normal(0, 0.08, (3, size, size))
    weak = gaussian_filter(np.eye(CLASS_COUNT)[labels], 8, axes=(0, 1)).transpose(2, 0, 1)
    return image.clip(0, 1).astype(np.float32), (weak / weak.sum(0)).astype(np.float32)


def test_tiles_with_a_ring_of_the_radius_agree_with_one_big_tile() -> None:
    image, weak = scene(0, 288)
    valid = np.ones(image.shape[1:], np.bool_)
    option = ClusterSettings()
    centres = sample_centres(image.reshape(3, -1).T, option, 0)

    def classes(window: tuple[slice, slice]) -> NDArray[np.intp]:
        clusters = responsibilities(image[:, *window], valid[window], centres, option, 0)
        p = evidence_map(clusters, weak[:, *window], valid[window], EvidenceSettings())
        return p.argmax(0)

    whole = classes(np.s_[:, :])
    differ = 0
    for y in range(0, 288, 96):
        for x in range(0, 288, 96):
            y0, x0 = max(y - 64, 0), max(x - 64, 0)
            tile = classes(np.s_[y0 : y + 160, x0 : x + 160])
            core = tile[y - y0 : y - y0 + 96, x - x0 : x - x0 + 96]
            differ += (core != whole[y : y + 96, x : x + 96]).sum()
    assert differ <= 0.01 * whole.size


@given(evidence(), st.integers(1, 3))
def test_smoothing_keeps_probabilities_water_and_what_is_even(canvas: Canvas, radius: int) -> None:
    _, weak, valid = canvas
    p = np.where(valid, weak, np.float32(0))
    q = smoothed(p, valid, radius)
    np.testing.assert_allclose(q.sum(axis=0), valid, atol=1e-5)
    np.testing.assert_allclose(q[0], p[0], atol=1e-5)
    even = np.where(valid, weak[:, :1, :1], np.float32(0))
    land = smoothed(even, valid, radius)[1:, valid].argmax(axis=0)
    assert (land == even[1:, valid].argmax(axis=0)).all()


def test_smoothing_removes_a_speck_and_no_field() -> None:
    p = np.full((CLASS_COUNT, 15, 15), 0.1, np.float32)
    p[3] = 0.6
    grass = np.array([0.1, 0.1, 0.1, 0.3, 0.4], np.float32)
    p[:, 4, 4], p[:, 8:12, 8:12] = grass, grass[:, None, None]
    labels = smoothed(p, np.ones((15, 15), np.bool_), 1).argmax(axis=0)
    assert labels[4, 4] == 3
    assert (labels[9:11, 9:11] == 4).all()


def test_maps_pittsburgh(shared: Path) -> None:
    folder = shared / "data" / "ea-mini" / "pittsburgh_pa"

    def layer(name: str, resampling: Resampling) -> NDArray[np.uint8]:
        with rasterio.open(folder / f"{name}.tif") as source:
            transform = source.transform * source.transform.scale(365 / 125, 365 / 125)
            with WarpedVRT(
                source, transform=transform, width=125, height=125, resampling=resampling
            ) as warped:
                return warped.read()

    image = layer("naip", Resampling.average).astype(np.float32) / 255
    nlcd, objects = (layer(name, Resampling.nearest)[0] for name in ("nlcd", "osm"))
    truth = to_working(layer("labels", Resampling.mode)[0], ENVIROATLAS)
    valid = truth > 0
    roads, buildings, water = (
        np.isin(objects, values).astype(np.float32) for values in ([11], [2], [1, 12])
    )
    legend = CoarseLegend.load("nlcd")
    numbers = np.searchsorted([0, *legend.codes], nlcd).astype(np.uint8)
    matrix = class_given_code(cooccurrence(numbers, truth, legend), legend)
    maps = [CoarseClasses(numbers, matrix, legend.blur)]
    coarse = coarse_probabilities(maps, {}, valid, 4.0)
    weak = weak_labels(coarse, roads, buildings, water, valid, WeakLabelSettings(), 4.0)
    option = ClusterSettings()
    centres = sample_centres(image.reshape(3, -1).T, option, 0)
    clusters = responsibilities(image, valid, centres, option, 0)
    p = evidence_map(clusters, weak.probabilities, valid, EvidenceSettings())
    confusion = np.zeros((5, 5))
    np.add.at(confusion, (truth - 1, p.argmax(0)), 1)
    hits = np.diag(confusion)
    assert hits.sum() / confusion.sum() > 0.76
    assert (hits / (confusion.sum(0) + confusion.sum(1) - hits)).mean() > 0.41
