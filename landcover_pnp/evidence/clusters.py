"""Colour clusters of a tile, from start centres that all tiles share."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from landcover_pnp.evidence.local_mixture import (
    Floats,
    LocalGaussianMixture,
    kmeans_centres,
    nearest_centre,
)
from landcover_pnp.evidence.settings import ClusterSettings


def sample_centres(
    sample: NDArray[np.float32], settings: ClusterSettings, seed: int
) -> NDArray[np.float32]:
    """Start centres of the clusters, from a sample of the whole scene.

    All tiles start from the same centres, so that neighbouring tiles agree about which
    cluster is which.

    Args:
        sample: (n, band) colours in 0..1 of valid pixels.
        settings: Number of clusters and what is clustered.
        seed: Seed of scikit-learn's KMeans.

    Returns:
        (cluster, feature) float32; as many features as bands.

    Raises:
        RasterError: If there are fewer pixels than clusters.
    """
    features = clustered_features(sample.T.astype(np.float64), settings).T
    return kmeans_centres(features, settings.clusters, seed).astype(np.float32)


def responsibilities(
    image: NDArray[np.float32],
    valid: NDArray[np.bool_],
    centres: NDArray[np.float32],
    settings: ClusterSettings,
    seed: int,
) -> NDArray[np.float32]:
    """Clusters of a tile by the method of the settings, from common start centres.

    Args:
        image: (band, y, x) float32 in 0..1, finite where valid.
        valid: (y, x) pixels that count.
        centres: (cluster, feature) of ``sample_centres`` with the same settings.
        settings: Method and its parameters.
        seed: Seed of what is random in scikit-learn's fits; ``local`` is not.

    Returns:
        (cluster, y, x) float32, sums to 1; uniform where not valid. A tile with fewer valid
        pixels than clusters gets the nearest centres, whatever the method but ``local``.

    Raises:
        GridError: If the image has more or fewer bands than the centres have features.
    """
    clusters, x = len(centres), clustered_features(image, settings)
    if settings.method == "local":
        mixture = LocalGaussianMixture(
            clusters,
            radius=settings.radius_px,
            max_iter=settings.iterations,
            warmup_iter=settings.warmup_iterations,
            warmup_radius=settings.warmup_radius_px,
            variance_floor=settings.variance_floor,
            init=centres,
        )
        return mixture.fit(x, valid=valid).predict_proba(x)
    pixels = x[:, valid].T.astype(np.float64)
    p = np.full((clusters, *valid.shape), 1 / clusters, np.float32)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the iterations are a setting
        if len(pixels) < clusters:
            p[:, valid] = nearest_centre(x, centres)[:, valid]
        elif settings.method == "gaussian":
            gaussian = GaussianMixture(
                clusters,
                means_init=centres,
                max_iter=settings.iterations,
                reg_covar=settings.variance_floor,
                random_state=seed,
            )
            p[:, valid] = gaussian.fit(pixels).predict_proba(pixels).T
        else:
            kmeans = MiniBatchKMeans(clusters, init=centres, n_init=1, random_state=seed)
            p[:, valid] = np.eye(clusters)[kmeans.fit_predict(pixels)].T
    return p


def clustered_features(colours: Floats, settings: ClusterSettings) -> Floats:
    """What is clustered, (feature, ...), of colours (band, ...): as many features as bands."""
    if not settings.contrasts:
        return colours
    return np.concatenate([colours.mean(axis=0, keepdims=True), np.diff(colours, axis=0)])
