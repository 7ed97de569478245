"""Observations: what is known about a tile's canvas besides the prior."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.errors import GridError
from landcover_pnp.legend import CLASS_COUNT


@dataclass(frozen=True, eq=False)
class Observations:
    """What is known about a tile's canvas besides the prior.

    Attributes:
        clusters: (cluster, y, x) float32 responsibilities, sum to 1 where valid.
        weak_labels: (class 5, y, x) float32 probabilities, sum to 1 where valid.
        valid: (y, x) bool, False is no data; the other layers may hold anything there.
        origin: Absolute pixel position (y, x) of the canvas on the working grid.
        spectral_indices: (class 5, y, x) float32 factors in 0..1, how well the image's spectral
            indices fit each class; None where they do not count.
        unseen: (y, x) bool, where the image shows nothing of the ground, such as under clouds;
            None is nowhere.

    Raises:
        GridError: If the layers differ in size or the weak labels in classes.
    """

    clusters: NDArray[np.float32]
    weak_labels: NDArray[np.float32]
    valid: NDArray[np.bool_]
    origin: tuple[int, int]
    spectral_indices: NDArray[np.float32] | None = None
    unseen: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        sizes = {self.clusters.shape[1:], self.weak_labels.shape[1:], self.valid.shape}
        if self.spectral_indices is not None:
            sizes.add(self.spectral_indices.shape[1:])
        if self.unseen is not None:
            sizes.add(self.unseen.shape)
        if len(sizes) > 1 or len(self.weak_labels) != CLASS_COUNT:
            raise GridError(
                found=f"clusters {self.clusters.shape}, weak labels {self.weak_labels.shape}, "
                f"valid {self.valid.shape}",
                expected=f"(cluster, y, x), ({CLASS_COUNT}, y, x) and (y, x) of one canvas",
                fix="cut all layers of the observations with the same window",
            )

    @property
    def masked(self) -> Observations:
        """The same in float32, with nothing known where not valid: 0, and indices of 1."""
        indices = self.spectral_indices
        return Observations(
            np.where(self.valid, self.clusters, 0).astype(np.float32),
            np.where(self.valid, self.weak_labels, 0).astype(np.float32),
            self.valid,
            self.origin,
            None if indices is None else np.where(self.valid, indices, 1).astype(np.float32),
            self.unseen,
        )
