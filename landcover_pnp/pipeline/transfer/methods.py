"""The methods of a transfer run: what each may see, and how it maps a site."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from landcover_pnp import __version__
from landcover_pnp.grid import Box
from landcover_pnp.legend import CLASS_COUNT
from landcover_pnp.pipeline.transfer.baselines import (
    known_truth,
    majority,
    middle,
    qr_loss,
    rq_loss,
    truth_lessons,
    weak_lessons,
    with_channels,
)
from landcover_pnp.pipeline.transfer.settings import TransferMethod
from landcover_pnp.storage.records import Ingredients, Record, file_hash, fingerprint, ingredients
from landcover_pnp.student.image_models import ImageModel
from landcover_pnp.student.mapped_scene import Predict, Site, chosen_places
from landcover_pnp.student.settings import StudentSettings
from landcover_pnp.student.training import image_model, teach
from landcover_pnp.student.unet import UNet

FROM_RUN = ("weak_labels", "evidence", "map")
"""Methods that the map stage has carried out already."""

WITHOUT_MATRIX = ("majority", "source_forest", "source_unet", "half_city")
"""Methods that do not use p(class | NLCD): the same under every protocol, so made once."""

LEARNS = tuple(m for m in get_args(TransferMethod) if m not in (*FROM_RUN, "majority"))
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
    "student_no_tones": "student without tones",
    "half_city": "forest, TRUE labels of half the city",
}
"""What the table calls a method."""

Predictor = Callable[[Site], tuple[Predict, int]]
"""From a site to its prediction and that prediction's reach in fine pixels."""


@dataclass(frozen=True, eq=False)
class Work:
    """One method in one city under one protocol, and what it may see.

    Attributes:
        method: The method.
        seed: Seed of what is random.
        source: Runs of the source city by tile, with truth.
        sites: Runs of the city to be mapped by tile; without truth, but for ``half_city``.
        student: Settings of the students, and of forests and U-Nets.
    """

    method: TransferMethod
    seed: int
    source: Mapping[str, Site]
    sites: Mapping[str, Site]
    student: StudentSettings

    @property
    def elsewhere(self) -> bool:
        """Whether the method learns from the source alone: once for all cities."""
        return self.method == "majority" or self.method.startswith("source")

    @property
    def made_of(self) -> Ingredients:
        """What the maps depend on: the runs they start from, and truth they learn from."""

        def state(site: Site) -> str:
            if self.method in WITHOUT_MATRIX:
                return site.scene.fingerprint
            record = Record.read(site.run / "probabilities" / "record.json")
            return fingerprint(record.ingredients) if record else ""

        learns: Ingredients = {}
        if self.method in LEARNS:
            learns = {"student": self.student, "seed": self.seed}
        if self.method not in FROM_RUN:
            seen = self.sites if self.method == "half_city" else self.source
            truths = {tile: site.fine.files.truth for tile, site in seen.items()}
            learns["truth"] = {t: file_hash(f.path) for t, f in truths.items() if f is not None}
        return ingredients(
            version=__version__,
            method=self.method,
            source={tile: state(site) for tile, site in self.source.items()},
            city={tile: state(site) for tile, site in self.sites.items()},
            **learns,
        )


def predictor(work: Work) -> Predictor:
    """Teaches a method that is not in ``FROM_RUN``.

    Returns:
        How it maps the sites.
    """
    method, seed = work.method, work.seed
    settings = dataclasses.replace(work.student, seed=seed)
    source, sites = list(work.source.values()), list(work.sites.values())
    if method == "majority":
        return partial(_constant, majority(_labels(source)))
    if method.startswith("student"):
        # A student's rounds count on from its seed: those of another seed are to be others.
        settings = dataclasses.replace(settings, seed=seed * settings.rounds)
        return _student(method, source, sites, settings)
    forest = dataclasses.replace(settings, model="forest")
    unet = dataclasses.replace(settings, model="unet")
    if method in ("qr", "rq"):
        loss = qr_loss if method == "qr" else rq_loss
        model: ImageModel = UNet(settings.unet, sites[0].scene.image_bands, loss)
        model.fit(weak_lessons(chosen_places(sites, settings.windows, seed)), seed)
        return partial(_plain, model)
    if method == "half_city":
        model = image_model(forest, sites)
        model.fit(truth_lessons(chosen_places(sites, settings.windows, seed), left_half=True), seed)
        return partial(_right_half, model)
    places = chosen_places(source, settings.windows, seed)
    if method == "source_unet_weak":
        model = UNet(settings.unet, source[0].scene.image_bands + CLASS_COUNT)
        model.fit(truth_lessons(places, with_weak_labels=True), seed)
        return partial(_with_weak_labels, model)
    model = image_model(forest if method == "source_forest" else unet, source)
    model.fit(truth_lessons(places), seed)
    return partial(_plain, model)


def _student(
    method: TransferMethod, source: Sequence[Site], sites: Sequence[Site], settings: StudentSettings
) -> Predictor:
    if method in ("student_unet", "student_finetuned"):
        settings = dataclasses.replace(settings, model="unet")
    elif method == "student_no_clusters":
        settings = dataclasses.replace(settings, teacher="weak_labels")
    elif method == "student_no_tones":
        settings = dataclasses.replace(settings, tones=False)
    model = image_model(settings, sites)
    if method == "student_finetuned":
        places = chosen_places(source, settings.windows, settings.seed)
        model.fit(truth_lessons(places), settings.seed)
    student = teach(sites, model, settings)
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
    parts = [known_truth(site, box).ravel() for site in sites for box in site.windows()]
    return np.concatenate(parts)
