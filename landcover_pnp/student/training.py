"""The student: an image model trained in the city itself by the inferred map, in rounds.

The paper's results come from an image network trained on the maps that inference made (Graikos et
al. 2022, section 4). Each round fits p(class | image) to the current soft map and combines it with
the weak labels again,

    q(l | x) = p(l | image, x) weak(l | x) / p(l),

see ``fusion``. Spectral indices count there alone: what a teacher's map has learned from them would
count twice. No truth is used.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from landcover_pnp.errors import RasterError
from landcover_pnp.evidence.index_borders import IndexBorders
from landcover_pnp.evidence.scene_borders import scene_borders
from landcover_pnp.grid import Box
from landcover_pnp.legend import CLASS_COUNT
from landcover_pnp.student.fusion import (
    Floats,
    fuse,
    mapped_water,
    weak_evidence,
)
from landcover_pnp.student.image_models import Forest, ImageModel, TrainingWindow
from landcover_pnp.student.known_ground import KnownGround, weighted
from landcover_pnp.student.mapped_scene import MappedScene, Predict, chosen_places
from landcover_pnp.student.settings import StudentSettings

_TINY = 1e-6


@dataclass(frozen=True)
class Round:
    """What a round of a student did.

    Attributes:
        changed: Share of the pixels it learned from whose class is another than before.
        agreement: How much image and weak labels tell about each other, nats a pixel: the mean
            of log sum_l p(l | image) weak(l) / p(l) (the log likelihood behind the RQ loss of
            Rolf et al. 2022, arXiv 2202.14000). 0 for a model that knows only class shares; what
            the rounds are judged by, since it needs no truth.
    """

    changed: float
    agreement: float


class ImageKind(NamedTuple):
    """What images must have in common to be seen by one model.

    Attributes:
        bands: Number of bands.
        pixel_m: Side of the fine pixels in metres.
    """

    bands: int
    pixel_m: float


@dataclass(frozen=True, eq=False)
class Student:
    """A trained image model and the class shares it is combined with.

    Attributes:
        image: Kind of the images it sees.
        model: The image model of the best round.
        share: (class,) mean p(class | image) over what it learned from.
        borders: Borders of the spectral indices; None where they do not count.
        teacher: Whose water stays, see ``StudentSettings.teacher``.
        rounds: What each round did; one that agreed less than that before was not kept.
    """

    image: ImageKind
    model: ImageModel
    share: Floats
    borders: IndexBorders | None
    teacher: str
    rounds: tuple[Round, ...]

    def predict(self, mapped_scene: MappedScene) -> Predict:
        """The student's map of a mapped scene's windows, weak labels included."""

        def fused(image: Floats, box: Box) -> Floats:
            weak = weak_evidence(mapped_scene, box, image, self.borders)
            water = mapped_water(mapped_scene, box, self.teacher)
            return fuse(self.model.predict(image), weak, self.share, water)

        return fused


def image_kind(mapped_scenes: Sequence[MappedScene]) -> ImageKind:
    """The kind of the mapped scenes' images.

    Raises:
        RasterError: If they differ in bands or pixels: one model cannot see them all.
    """
    found = [
        ImageKind(s.scene.image_bands, s.scene.resolution_m / s.fine.factor) for s in mapped_scenes
    ]
    kinds = {f"{kind.bands} bands at {kind.pixel_m:.3g} m" for kind in found}
    if len(kinds) > 1:
        raise RasterError(
            found=f"images of {' and '.join(sorted(kinds))}",
            expected="runs whose images have the same bands and pixels",
            fix="train a student for each kind of image",
        )
    return found[0]


def image_model(settings: StudentSettings, image: ImageKind) -> ImageModel:
    """The untrained model that the settings name."""
    if settings.model == "forest":
        return Forest(settings.forest, image.pixel_m, image.bands)
    from landcover_pnp.student.unet import UNet  # torch and Lightning: seconds in every process

    return UNet(settings.unet, image.bands)


def train(
    mapped_scenes: Sequence[MappedScene],
    model: ImageModel,
    settings: StudentSettings,
    borders: IndexBorders | None = None,
    known: KnownGround | None = None,
) -> Student:
    """Trains an image model in rounds, on windows of a city's runs.

    Stops when a round changes less than ``settings.settled`` of the pixels, or when image and
    weak labels agree less than in the round before, which is then the one that is kept.

    Args:
        mapped_scenes: The city's runs.
        model: Fresh, or trained in another city and fine-tuned here.
        settings: Rounds, windows, seed.
        borders: Borders of the city's spectral indices, where they are known already.
        known: Ground whose class a user has said, in the first of the runs: learned from as it is,
            instead of the map there.

    Returns:
        The student.
    """
    chosen = chosen_places(mapped_scenes, settings.windows, settings.seed)
    images = [mapped_scene.fine.image(box) for mapped_scene, box in chosen]
    if not settings.spectral_indices:
        borders = None
    elif borders is None:
        borders = scene_borders(mapped_scene.scene for mapped_scene in mapped_scenes)
    # What the image does not show is no data to learn from.
    weak = [
        weak_evidence(s, b, x, borders) * s.seen(b)
        for (s, b), x in zip(chosen, images, strict=True)
    ]
    water = [mapped_water(mapped_scene, box, settings.teacher) for mapped_scene, box in chosen]
    current = [s.probabilities(settings.teacher, b) * s.scene.seen(b) for s, b in chosen]
    free = [1 if known is None else ~known.touched(box) for _, box in chosen]
    said = known.training_windows(mapped_scenes[0], settings) if known else []
    rounds: list[Round] = []
    for number in range(settings.rounds):
        windows = [
            TrainingWindow(x, q, np.asarray(confidence_weight(q) * f, np.float32))
            for x, q, f in zip(images, current, free, strict=True)
        ]
        said = weighted(said, windows, known.share) if known else []
        model.fit([*windows, *said], settings.seed + number)
        predicted = [model.predict(x) for x in images]
        share, agreement = _agreement(predicted, weak)
        before = current
        current = [
            mapped_scene.pooled(fuse(p, w, share, mapped))
            for (mapped_scene, _), p, w, mapped in zip(chosen, predicted, weak, water, strict=True)
        ]
        rounds.append(Round(_changed(before, current), agreement))
        if number and agreement <= rounds[-2].agreement:
            break
        kept, kept_share = copy.copy(model), share
        if rounds[-1].changed < settings.settled:
            break
    image = image_kind(mapped_scenes)
    return Student(image, kept, kept_share, borders, settings.teacher, tuple(rounds))


def confidence_weight(q: Floats) -> Floats:
    """How sure a map is: 1 - entropy / log 5.

    Args:
        q: (class, y, x) probabilities, sum to 1, or 0 without data.

    Returns:
        (y, x) float32: 1 where one class is certain, 0 where all are as likely or without data.
    """
    entropy = -(q * np.log(np.maximum(q, _TINY))).sum(axis=0) / np.log(CLASS_COUNT)
    return np.asarray(np.where(q.any(axis=0), np.clip(1 - entropy, 0, 1), 0), np.float32)


def _agreement(predicted: Sequence[Floats], weak: Sequence[Floats]) -> tuple[Floats, float]:
    """Class shares of the predictions, and the agreement of image and weak labels."""
    known = [w.any(axis=0) for w in weak]
    count = max(sum(int(k.sum()) for k in known), 1)
    sums = (p[:, k].sum(axis=1, dtype=np.float64) for p, k in zip(predicted, known, strict=True))
    share = np.asarray(sum(sums, np.zeros(CLASS_COUNT)) / count, np.float32)
    total = 0.0
    for p, w, k in zip(predicted, weak, known, strict=True):
        ratio = (p[:, k] * w[:, k] / np.maximum(share, _TINY)[:, None]).sum(axis=0)
        total += float(np.log(np.maximum(ratio, _TINY)).sum(dtype=np.float64))
    return share, total / count


def _changed(before: Sequence[Floats], after: Sequence[Floats]) -> float:
    differ = [
        (a.argmax(axis=0) != b.argmax(axis=0))[b.any(axis=0)]
        for a, b in zip(after, before, strict=True)
    ]
    return float(np.concatenate(differ).mean())
