"""What image and coarse labels say of any window of a scene: the observations of an engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.evidence.clusters import responsibilities, sample_centres
from landcover_pnp.evidence.index_borders import IndexBorders, class_given_image
from landcover_pnp.evidence.scene_labels import labels_of
from landcover_pnp.evidence.settings import ClusterSettings, WeakLabelSettings
from landcover_pnp.grid import Box
from landcover_pnp.inference.observations import Observations
from landcover_pnp.legend import CLASS_COUNT
from landcover_pnp.scenes.scene import Scene


@dataclass(frozen=True)
class Observer:
    """What all windows of a scene share; a few kilobytes, sent to the workers.

    Attributes:
        weak_labels: Weak label settings.
        matrices: p(class | code) of each coarse map, (code class, class).
        clusters: Cluster settings.
        centres: Start centres of the whole scene, (cluster, band).
        borders: Borders of the whole scene's spectral indices; None where they do not count.
        seed: Seed of the run.
    """

    weak_labels: WeakLabelSettings
    matrices: tuple[NDArray[np.float64], ...]
    clusters: ClusterSettings
    centres: NDArray[np.float32]
    borders: IndexBorders | None
    seed: int

    @classmethod
    def of(
        cls,
        scene: Scene,
        matrices: tuple[NDArray[np.float64], ...],
        labels: WeakLabelSettings,
        clusters: ClusterSettings,
        seed: int,
        borders: IndexBorders | None,
    ) -> Self:
        """Looks at a whole scene once.

        Args:
            scene: The scene.
            matrices: p(class | code) of each coarse map, (code class, class).
            labels: Weak label settings.
            clusters: Cluster settings.
            seed: Seed of the run.
            borders: Borders of its spectral indices; None where they do not count.
        """
        centres = sample_centres(scene.sample(clusters.sample_px, seed), clusters, seed)
        return cls(labels, matrices, clusters, centres, borders, seed)

    def weak_labels_in(self, scene: Scene, box: Box) -> NDArray[np.float32]:
        """Weak labels of a window: (class, y, x) float32, sum to 1 where there is data."""
        return labels_of(scene, box, self.matrices, self.weak_labels).probabilities

    def observe(self, scene: Scene, box: Box) -> Observations:
        """The observations of a window.

        Args:
            scene: The scene, or a part of it with the same pixels.
            box: Working pixels.
        """
        valid, weak = scene.valid(box), self.weak_labels_in(scene, box)
        origin = (box.y0, box.x0)
        if not valid.any():
            clusters = np.zeros((len(self.centres), *valid.shape), np.float32)
            return Observations(
                clusters, np.zeros((CLASS_COUNT, *valid.shape), np.float32), valid, origin
            )
        image, seen = scene.image(box), scene.seen(box)
        unseen = valid & ~seen
        clusters = responsibilities(image, seen, self.centres, self.clusters, self.seed)
        # Where the image shows no ground it says nothing of it.
        clusters[:, unseen] = 1 / len(clusters)
        indices = class_given_image(image, self.borders) if self.borders else None
        if indices is not None:
            indices[:, unseen] = 1
        return Observations(
            clusters, weak, valid, origin, indices, unseen if unseen.any() else None
        )
