"""How label maps look, in numbers: the metrics of landscape ecology, and distances between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.stats import ks_2samp

from landcover_pnp.arrays import normalise
from landcover_pnp.legend import CLASS_COUNT, NO_DATA, WORKING

LabelMaps = NDArray[np.uint8]
"""Label maps of one size (map, y, x), 0 = unlabelled."""


@dataclass(frozen=True)
class Landscape:
    """Landscape metrics of a set of label maps (McGarigal & Marks 1995, FRAGSTATS).

    A patch is a connected part of one class, by sides. Unlabelled ground has no patches and no
    edges.

    Attributes:
        shares: (class,) share of each class in what is labelled.
        adjacency: (class, class) share of each pair of unlike neighbours, upper triangle.
        patch_size: (class, octave) share of the patches by class and area, in octaves of pixels.
        patch_edge: (class, octave) share of the patches by class and length of boundary, in
            octaves of pixel sides; the rim of the map is no boundary.
        patch_density: (map,) patches a square kilometre.
        edge_density: (map,) metres of boundary a hectare.
        mean_patch: (map,) mean area of a patch, square metres.
        unlabelled: Share of all pixels that have no class.
    """

    shares: NDArray[np.float64]
    adjacency: NDArray[np.float64]
    patch_size: NDArray[np.float64]
    patch_edge: NDArray[np.float64]
    patch_density: NDArray[np.float64]
    edge_density: NDArray[np.float64]
    mean_patch: NDArray[np.float64]
    unlabelled: float


def describe(maps: LabelMaps, resolution_m: float) -> Landscape:
    """Measures label maps.

    Args:
        maps: (map, y, x) uint8.
        resolution_m: Pixel side, metres.

    Returns:
        Their metrics.
    """
    octaves = int(np.ceil(np.log2(maps[0].size))) + 1
    shares = np.bincount(maps.ravel(), minlength=CLASS_COUNT + 1)[1:].astype(float)
    adjacency = np.zeros((CLASS_COUNT + 1, CLASS_COUNT + 1))
    sizes, edges = np.zeros((2, CLASS_COUNT, octaves + 2))
    counts, boundaries, labelled = np.zeros((3, len(maps)))
    for i, labels in enumerate(maps):
        boundary = np.zeros(labels.shape)
        for near, far in (
            (np.s_[:, :-1], np.s_[:, 1:]),
            (np.s_[:-1], np.s_[1:]),
        ):
            a, b = labels[near], labels[far]
            unlike = (a != b) & (a > 0) & (b > 0)
            np.add.at(adjacency, (np.minimum(a, b)[unlike], np.maximum(a, b)[unlike]), 1)
            boundary[near] += unlike
            boundary[far] += unlike
        for row, code in enumerate(WORKING.codes):
            patches, n = ndimage.label(labels == code)
            index = np.arange(1, n + 1)
            area = ndimage.sum_labels(np.ones(labels.shape), patches, index)
            length = ndimage.sum_labels(boundary, patches, index)
            np.add.at(sizes[row], np.log2(area).astype(int), 1)
            np.add.at(edges[row], np.log2(1 + length).astype(int), 1)
            counts[i] += n
        boundaries[i] = boundary.sum() / 2  # both sides counted it
        labelled[i] = np.count_nonzero(labels)
    # A map without labels has no patches: its densities are 0.
    area_m2 = np.maximum(labelled, 1) * resolution_m**2
    return Landscape(
        shares=normalise(shares, axis=None),
        adjacency=normalise(adjacency[1:, 1:], axis=None),
        patch_size=normalise(sizes, axis=None),
        patch_edge=normalise(edges, axis=None),
        patch_density=counts / (area_m2 / 1e6),
        edge_density=boundaries * resolution_m / (area_m2 / 1e4),
        mean_patch=labelled * resolution_m**2 / np.maximum(counts, 1),
        unlabelled=float(np.mean(maps == NO_DATA)),
    )


def distances(one: Landscape, other: Landscape) -> dict[str, float]:
    """How differently two sets of maps look, from 0 (alike) to 1 (nothing in common).

    Shares and histograms are compared by total variation, what is known map by map by the
    Kolmogorov-Smirnov distance.

    Args:
        one: Metrics of a set of maps.
        other: Metrics of another, of the same size and resolution.

    Returns:
        Distance by name, and their mean as ``all``.
    """
    found = {
        "class shares": _variation(one.shares, other.shares),
        "neighbours": _variation(one.adjacency, other.adjacency),
        "patch sizes": _variation(one.patch_size, other.patch_size),
        "patch boundaries": _variation(one.patch_edge, other.patch_edge),
        "patch density": _kolmogorov(one.patch_density, other.patch_density),
        "edge density": _kolmogorov(one.edge_density, other.edge_density),
        "mean patch": _kolmogorov(one.mean_patch, other.mean_patch),
    }
    return {**found, "all": float(np.mean(list(found.values())))}


def nearest_agreement(maps: LabelMaps, training: LabelMaps) -> NDArray[np.float64]:
    """Share of its pixels in which each map agrees with the likest training crop, however turned.

    Args:
        maps: (map, y, x) uint8.
        training: (crop, y, x) uint8, of the same size.

    Returns:
        (map,) agreement, 0 to 1.
    """
    codes = np.array(WORKING.codes, np.uint8)

    def hot(labels: LabelMaps) -> NDArray[np.float32]:
        return np.equal(labels[..., None], codes).reshape(len(labels), -1).astype(np.float32)

    known = hot(training)
    best = np.zeros(len(maps))
    for turns in range(4):
        turned = np.rot90(maps, turns, (1, 2))
        for position in (turned, turned.transpose(0, 2, 1)):
            best = np.maximum(best, (hot(position) @ known.T).max(1) / maps[0].size)
    return best


def _variation(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    return float(np.abs(p - q).sum() / 2)


def _kolmogorov(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(ks_2samp(a, b, method="asymp").statistic)
