"""A Gaussian mixture whose parameters vary in space, as an estimator of scikit-learn."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from landcover_pnp.arrays import normalise
from landcover_pnp.box_filter import box_sum, mean_across, sum_down
from landcover_pnp.errors import GridError, RasterError

Floats = NDArray[Any]
"""float32 or float64, as the image is."""

_SMOOTHING = 1e-3  # added to every responsibility, as in the released program
_TINY = 1e-6  # keeps divisions finite in boxes without any valid pixel, which are masked


class LocalGaussianMixture(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Gaussian mixture by EM with means, diagonal variances and weights that vary in space.

    Every statistic is a mean over a box around the pixel, and the E-step averages the
    neighbours' log densities over the same box: a pixel is explained by all the mixtures it
    took part in. Borders and invalid pixels are counted out. As the released program of
    Graikos et al. 2022, arXiv 2206.09012, section 4, computes it.

    Unlike scikit-learn's estimators this one takes X as an image (band, y, x), not as
    (n_samples, n_features): neighbours matter. float64 is computed as such, all else in
    float32.

    Args:
        n_clusters: Number of clusters.
        radius: Radius of the boxes, pixels.
        max_iter: EM iterations, at least 1; all are done.
        warmup_iter: First iterations with the warm-up radius.
        warmup_radius: Their radius, pixels.
        variance_floor: Smallest variance, in squared units of X.
        init: Start: ``"kmeans"`` (scikit-learn's, on the valid pixels), centres
            (cluster, band), or responsibilities (cluster, y, x) that sum to 1.
        random_state: Seed of the KMeans start.
        n_jobs: Threads; the result does not depend on them. More than two gain little.

    Attributes:
        means_: (cluster, band, y, x) of the last M-step.
        variances_: (cluster, band, y, x), at least the floor.
        weights_: (cluster, y, x), sums to 1 where valid.
        valid_: (y, x) bool, pixels that counted.
        radius_: Radius of the last iteration, pixels.
        labels_: (y, x) int64, the most likely cluster, -1 where not valid.
    """

    def __init__(
        self,
        n_clusters: int = 5,
        *,
        radius: int = 15,
        max_iter: int = 30,
        warmup_iter: int = 0,
        warmup_radius: int = 15,
        variance_floor: float = 1e-4,
        init: str | Floats = "kmeans",
        random_state: int | None = None,
        n_jobs: int = 1,
    ) -> None:
        self.n_clusters = n_clusters
        self.radius = radius
        self.max_iter = max_iter
        self.warmup_iter = warmup_iter
        self.warmup_radius = warmup_radius
        self.variance_floor = variance_floor
        self.init = init
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(
        self,
        X: Floats,
        y: None = None,  # noqa: ARG002
        valid: NDArray[np.bool_] | None = None,
    ) -> Self:
        """Runs EM.

        Args:
            X: (band, y, x) in 0..1.
            y: Not used; scikit-learn's convention.
            valid: (y, x) pixels that count; None means all. Only finite ones ever do.

        Returns:
            The estimator itself.

        Raises:
            GridError: If ``init`` does not fit X.
            RasterError: If the KMeans start finds fewer valid pixels than clusters.
        """
        finite = np.isfinite(X).all(axis=0)
        self.valid_ = finite if valid is None else finite & valid
        x = self._image(X)
        powers = _powers(x)
        p = self._start(x) * self.valid_
        self.n_features_in_ = len(x)
        self.means_ = np.empty((self.n_clusters, *x.shape), x.dtype)
        self.variances_ = np.empty_like(self.means_)
        self.weights_ = np.empty_like(p)
        for iteration in range(self.max_iter):
            self.radius_ = self.warmup_radius if iteration < self.warmup_iter else self.radius
            self._m_step(powers, p)
            p = self._e_step(powers)
        self.labels_ = np.where(self.valid_, p.argmax(axis=0), -1)
        return self

    def predict_proba(self, X: Floats) -> Floats:
        """Responsibilities of the clusters for an image on the grid of the fitted one.

        Args:
            X: (band, y, x) in 0..1, of the shape that was fitted.

        Returns:
            (cluster, y, x), sums to 1; uniform where the fitted image had no valid pixel.

        Raises:
            GridError: If X has another shape: the parameters belong to places.
        """
        check_is_fitted(self)
        if X.shape != self.means_.shape[1:]:
            raise GridError(
                found=f"an image of shape {X.shape}",
                expected=f"the shape that was fitted, {self.means_.shape[1:]}",
                fix="fit the mixture to this image: its parameters vary in space",
            )
        p = self._e_step(_powers(self._image(X)))
        p[:, ~self.valid_] = 1 / self.n_clusters
        return p

    def predict(self, X: Floats) -> NDArray[np.int64]:
        """The most likely cluster: (y, x) int64, -1 where not valid; X as ``predict_proba``."""
        return np.where(self.valid_, self.predict_proba(X).argmax(axis=0), -1)

    def _image(self, X: Floats) -> Floats:
        """X in the dtype of the computation, 0 where not valid."""
        dtype = np.float64 if X.dtype == np.float64 else np.float32
        return np.where(self.valid_, X, 0).astype(dtype)

    def _start(self, x: Floats) -> Floats:
        """The first responsibilities (cluster, y, x)."""
        init = self.init
        if isinstance(init, str):
            init = kmeans_centres(x[:, self.valid_].T, self.n_clusters, self.random_state)
        if init.shape == (self.n_clusters, *x.shape[1:]):
            return init.astype(x.dtype)
        if init.shape != (self.n_clusters, len(x)):
            raise GridError(
                found=f"start of shape {init.shape} for {self.n_clusters} clusters of an image "
                f"of shape {x.shape}",
                expected="centres (cluster, band) or responsibilities (cluster, y, x)",
                fix="take the centres from a sample of the same bands",
            )
        return _smooth(nearest_centre(x, init))

    def _m_step(self, powers: Floats, p: Floats) -> None:
        """Local means, variances and weights from responsibilities (0 where not valid)."""
        bands = len(powers) // 2
        for c, sums in enumerate(self._box_sums(lambda c: powers * p[c])):
            self.weights_[c] = sums[-1]
            sums[:-1] /= np.maximum(sums[-1], _TINY)
            self.means_[c] = sums[:bands]
            sums[bands:-1] -= np.square(sums[:bands])
            np.maximum(sums[bands:-1], self.variance_floor, out=self.variances_[c])
        normalise(self.weights_, floor=_TINY, out=self.weights_)

    def _e_step(self, powers: Floats) -> Floats:
        """Responsibilities (cluster, y, x), 0 where not valid.

        The box averages log densities, -((x - mean)^2 / variance + log variance) / 2, over
        the parameters of all neighbours at the pixel's own x: coefficients of powers of x.
        """
        bands = len(powers) // 2

        def coefficients(c: int) -> Floats:
            mean, variance = self.means_[c], self.variances_[c]
            of_powers = np.empty_like(powers)
            linear, quadratic = of_powers[:bands], of_powers[bands:-1]
            np.divide(self.valid_, variance, out=quadratic)
            np.multiply(mean, quadratic, out=linear)
            of_powers[-1] = np.einsum("byx,byx->yx", mean, linear)
            # One logarithm a pixel: that of the product, which four variances cannot overflow.
            of_powers[-1] += np.log(variance.prod(axis=0)) * self.valid_
            linear *= -2
            return of_powers

        log_p = np.empty_like(self.weights_)
        for c, sums in enumerate(self._box_sums(coefficients)):
            np.einsum("kyx,kyx->yx", powers, sums, out=log_p[c])
        count = box_sum(self.valid_.astype(log_p.dtype), self.radius_)
        log_p /= -2 * np.maximum(count, 1)
        log_p -= log_p.max(axis=0)
        p = np.exp(log_p, out=log_p)
        p *= self.weights_
        p = _smooth(normalise(p, floor=_TINY, out=p))
        p *= self.valid_
        return p

    def _box_sums(self, planes: Callable[[int], Floats]) -> Iterator[Floats]:
        """Box sums of the planes of each cluster in turn, all in the same memory.

        With several threads, the others prepare the next clusters while this one sums along y.
        """

        def prepared(c: int) -> Floats:
            x = planes(c)
            return mean_across(x, self.radius_, out=x)

        with ThreadPoolExecutor(max(1, self.n_jobs - 1)) as threads:
            ahead = threads.map if self.n_jobs > 1 else map
            sums: Floats | None = None
            for means in ahead(prepared, range(self.n_clusters)):
                sums = np.empty_like(means) if sums is None else sums
                yield sum_down(means, self.radius_, out=sums)


def _powers(x: Floats) -> Floats:
    """(2 band + 1, y, x): x, x^2 and 1, which all sums over pixels are taken of."""
    return np.concatenate([x, x * x, np.ones_like(x[:1])])


def _smooth(p: Floats) -> Floats:
    """Leaves no cluster impossible, in place: it could not come back."""
    p += _SMOOTHING
    return normalise(p, floor=_TINY, out=p)


def nearest_centre(x: Floats, centres: Floats) -> Floats:
    """Assigns every pixel to a centre.

    Args:
        x: (band, y, x).
        centres: (cluster, band).

    Returns:
        (cluster, y, x) of the dtype of ``x``: 1 for the nearest of the centres, else 0.
    """
    distance = [np.square(x - centre[:, None, None]).sum(axis=0) for centre in centres]
    one_hot: Floats = np.eye(len(centres), dtype=x.dtype)[:, np.argmin(distance, axis=0)]
    return one_hot


def require_enough(pixels: int, clusters: int) -> None:
    """Refuses fewer valid pixels than clusters.

    Raises:
        RasterError: Says how many there are.
    """
    if pixels < clusters:
        raise RasterError(
            found=f"{pixels} valid pixels",
            expected=f"at least one for each of the {clusters} clusters",
            fix=(f"set clusters.clusters to {pixels}, or " if pixels else "") + "map a larger area",
        )


def kmeans_centres(sample: Floats, clusters: int, seed: int | None) -> Floats:
    """Centres of a sample by scikit-learn's KMeans; the same on every machine.

    Args:
        sample: (n, band).
        clusters: Number of clusters.
        seed: Seed of the starts.

    Returns:
        (cluster, band).

    Raises:
        RasterError: If there are fewer pixels than clusters.
    """
    require_enough(len(sample), clusters)
    # One thread: with more, the order of sums and so the last bits depend on the machine.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer colours than clusters
        kmeans = KMeans(clusters, n_init=4, random_state=seed).fit(sample)
    centres: Floats = kmeans.cluster_centers_
    return centres
