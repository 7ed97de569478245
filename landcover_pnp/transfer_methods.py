"""The methods of a transfer run: what each may see, and how it maps a site."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.baselines import (
    majority,
    middle,
    qr_loss,
    rq_loss,
    truth_lessons,
    weak_lessons,
    with_channels,
)
from landcover_pnp.grid import Box
from landcover_pnp.image_models import ImageModel, UNet
from landcover_pnp.legend import CLASS_COUNT
from landcover_pnp.settings import StudentSettings, TransferMethod
from landcover_pnp.sites import Predict, Site, chosen_places
from landcover_pnp.student import image_model, teach

FROM_RUN = ("weak_labels", "evidence", "map")
"""Methods that the map stage has carried out already."""

WITHOUT_MATRIX = ("majority", "source_forest", "source_unet", "half_city")
"""Methods that do not use p(class | NLCD): the same under every protocol, so made once."""

LEARNS = (
    "source_forest",
    "source_unet",
    "source_unet_weak",
    "qr",
    "rq",
    "student",
    "student_unet",
    "student_finetuned",
    "student_no_clusters",
    "student_no_greenness",
    "half_city",
)
"""Methods whose result depends on the seed."""

TITLES: dict[TransferMethod, str] = {
    "majority": "majority class of the source",
    "weak_labels": "weak labels",
    "evidence": "evidence, no prior",
    "map": "map of the engine",
    "source_forest": "forest, source labels",
    "source_unet": "U-Net, source labels",
    "source_unet_weak": "U-Net, source labels + weak labels as input",
    "qr": "U-Net, QR loss",
    "rq": "U-Net, RQ loss",
    "student": "student",
    "student_unet": "student, U-Net",
    "student_finetuned": "student, U-Net fine-tuned from the source",
    "student_no_clusters": "student of the weak labels, no clusters",
    "student_no_greenness": "student without greenness",
    "half_city": "forest, TRUE labels of half the city",
}
"""What the table calls a method."""

Predictor = Callable[[Site], tuple[Predict, int]]
"""From a site to its prediction and that prediction's reach in fine pixels."""


@dataclass(frozen=True, eq=False)
class Sight:
    """What a method may see.

    Attributes:
        source: Runs of the source city, with truth.
        sites: Runs of the city to be mapped, under the protocol at hand; without truth, but for
            ``half_city``.
        student: Settings of the students, and of forests and U-Nets.
    """

    source: Sequence[Site]
    sites: Sequence[Site]
    student: StudentSettings


def predictor(method: TransferMethod, sight: Sight, seed: int) -> Predictor:
    """Teaches a method.

    Args:
        method: One that is not in ``FROM_RUN``.
        sight: What it may see.
        seed: Seed of what is random.

    Returns:
        How it maps the sites.
    """
    settings = dataclasses.replace(sight.student, seed=seed)
    if method == "majority":
        return partial(_constant, majority(_labels(sight.source)))
    if method.startswith("student"):
        return _student(method, sight, settings)
    forest = dataclasses.replace(settings, model="forest")
    unet = dataclasses.replace(settings, model="unet")
    if method in ("qr", "rq"):
        loss = qr_loss if method == "qr" else rq_loss
        model: ImageModel = UNet(settings.unet, sight.sites[0].scene.image_bands, loss)
        model.fit(weak_lessons(chosen_places(sight.sites, settings.windows, seed)), seed)
        return partial(_plain, model)
    if method == "half_city":
        places = chosen_places(sight.sites, settings.windows, seed)
        model = image_model(forest, sight.sites)
        model.fit(truth_lessons(places, left_half=True), seed)
        return partial(_right_half, model)
    places = chosen_places(sight.source, settings.windows, seed)
    if method == "source_unet_weak":
        model = UNet(settings.unet, sight.source[0].scene.image_bands + CLASS_COUNT)
        model.fit(truth_lessons(places, with_weak_labels=True), seed)
        return partial(_with_weak_labels, model)
    model = image_model(forest if method == "source_forest" else unet, sight.source)
    model.fit(truth_lessons(places), seed)
    return partial(_plain, model)


def _student(method: TransferMethod, sight: Sight, settings: StudentSettings) -> Predictor:
    if method in ("student_unet", "student_finetuned"):
        settings = dataclasses.replace(settings, model="unet")
    elif method == "student_no_clusters":
        settings = dataclasses.replace(settings, teacher="weak_labels")
    elif method == "student_no_greenness":
        settings = dataclasses.replace(settings, greenness=False)
    model = image_model(settings, sight.sites)
    if method == "student_finetuned":
        places = chosen_places(sight.source, settings.windows, settings.seed)
        model.fit(truth_lessons(places), settings.seed)
    student = teach(sight.sites, model, settings)
    return lambda site: (student.predict(site), student.model.reach_px)


def _plain(model: ImageModel, _: Site) -> tuple[Predict, int]:
    return lambda image, box: model.predict(image), model.reach_px  # noqa: ARG005


def _with_weak_labels(model: ImageModel, site: Site) -> tuple[Predict, int]:
    def predict(image: NDArray[np.float32], box: Box) -> NDArray[np.float32]:
        weak = site.upsampled(site.probabilities("weak_labels", box))
        return model.predict(with_channels(image, weak))

    return predict, model.reach_px


def _right_half(model: ImageModel, site: Site) -> tuple[Predict, int]:
    """The half that was not learnt from; the other is no data."""
    edge = middle(site)

    def predict(image: NDArray[np.float32], box: Box) -> NDArray[np.float32]:
        p = model.predict(image)
        p[..., : max(edge - box.x0, 0) * site.fine.factor] = 0
        return p

    return predict, model.reach_px


def _constant(shares: NDArray[np.float32], _: Site) -> tuple[Predict, int]:
    def predict(image: NDArray[np.float32], _: Box) -> NDArray[np.float32]:
        return np.broadcast_to(shares[:, None, None], (CLASS_COUNT, *image.shape[1:]))

    return predict, 0


def _labels(sites: Sequence[Site]) -> NDArray[np.uint8]:
    parts = [site.fine.truth(box).ravel() for site in sites for box in site.windows()]
    return np.concatenate(parts)
