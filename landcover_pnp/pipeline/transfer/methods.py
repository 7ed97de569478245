"""The methods of a transfer run: what each may see, and how it maps a mapped scene."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.grid import Box
from landcover_pnp.legend import CLASS_COUNT
from landcover_pnp.pipeline.transfer.baselines import (
    known_truth,
    majority,
    middle,
    qr_loss,
    rq_loss,
    truth_windows,
    weak_windows,
    with_channels,
)
from landcover_pnp.pipeline.transfer.settings import TransferMethod
from landcover_pnp.storage.records import Ingredients, Record, file_hash, fingerprint, ingredients
from landcover_pnp.storage.run_folder import RunFolder
from landcover_pnp.storage.sidecars import part_hashes
from landcover_pnp.student.image_models import ImageModel
from landcover_pnp.student.mapped_scene import MappedScene, Predict, chosen_places
from landcover_pnp.student.settings import StudentSettings
from landcover_pnp.student.training import image_kind, image_model, train
from landcover_pnp.student.unet import UNet
from landcover_pnp.version import __version__

FROM_RUN = ("weak_labels", "evidence", "map")
"""Methods that the map stage has carried out already."""

WITHOUT_MATRIX = ("majority", "source_forest", "source_unet", "half_city")
"""Methods that do not use p(class | code): the same under every matrix source, so made once."""

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
    "student_no_indices": "student without spectral indices",
    "half_city": "forest, TRUE labels of half the city",
}
"""What the table calls a method."""

Predictor = Callable[[MappedScene], tuple[Predict, int]]
"""From a mapped scene to its prediction and that prediction's reach in fine pixels."""


@dataclass(frozen=True, eq=False)
class Work:
    """One method in one city under one matrix source, and what it may see.

    Attributes:
        method: The method.
        seed: Seed of what is random.
        source: Runs of the source city by tile, with truth.
        mapped_scenes: Runs of the city to be mapped by tile; without truth, but for ``half_city``.
        student: Settings of the students, and of forests and U-Nets.
    """

    method: TransferMethod
    seed: int
    source: Mapping[str, MappedScene]
    mapped_scenes: Mapping[str, MappedScene]
    student: StudentSettings

    @property
    def elsewhere(self) -> bool:
        """Whether the method learns from the source alone: once for all cities."""
        return self.method == "majority" or self.method.startswith("source")

    @property
    def made_of(self) -> Ingredients:
        """What the maps depend on: the runs they start from, and truth they learn from."""

        def state(mapped_scene: MappedScene) -> str:
            if self.method in WITHOUT_MATRIX:
                return mapped_scene.scene.fingerprint
            record = Record.read(RunFolder(mapped_scene.run).mosaic_record)
            return fingerprint(record.ingredients) if record else ""

        learns: Ingredients = {}
        if self.method in LEARNS:
            learns = {"student": self.student, "seed": self.seed}
        if self.method not in FROM_RUN:
            seen = self.mapped_scenes if self.method == "half_city" else self.source
            truths = {tile: mapped_scene.fine.files.truth for tile, mapped_scene in seen.items()}
            learns["truth"] = {
                tile: {"legend": truth.legend, **part_hashes(truth.path, file_hash)}
                for tile, truth in truths.items()
                if truth is not None
            }
        return ingredients(
            version=__version__,
            method=self.method,
            source={tile: state(mapped_scene) for tile, mapped_scene in self.source.items()},
            city={tile: state(mapped_scene) for tile, mapped_scene in self.mapped_scenes.items()},
            **learns,
        )


def predictor(work: Work) -> Predictor:
    """Trains a method that is not in ``FROM_RUN``.

    Returns:
        How it maps the mapped scenes.
    """
    method, seed = work.method, work.seed
    settings = dataclasses.replace(work.student, seed=seed)
    source, mapped_scenes = list(work.source.values()), list(work.mapped_scenes.values())
    if method == "majority":
        return partial(_constant, majority(_labels(source)))
    if method.startswith("student"):
        # A student's rounds count on from its seed: those of another seed are to be others.
        settings = dataclasses.replace(settings, seed=seed * settings.rounds)
        return _student(method, source, mapped_scenes, settings)
    forest = dataclasses.replace(settings, model="forest")
    unet = dataclasses.replace(settings, model="unet")
    if method in ("qr", "rq"):
        loss = qr_loss if method == "qr" else rq_loss
        model: ImageModel = UNet(settings.unet, mapped_scenes[0].scene.image_bands, loss)
        model.fit(weak_windows(chosen_places(mapped_scenes, settings.windows, seed)), seed)
        return partial(_plain, model)
    if method == "half_city":
        model = image_model(forest, image_kind(mapped_scenes))
        model.fit(
            truth_windows(chosen_places(mapped_scenes, settings.windows, seed), left_half=True),
            seed,
        )
        return partial(_right_half, model)
    places = chosen_places(source, settings.windows, seed)
    if method == "source_unet_weak":
        model = UNet(settings.unet, source[0].scene.image_bands + CLASS_COUNT)
        model.fit(truth_windows(places, with_weak_labels=True), seed)
        return partial(_with_weak_labels, model)
    model = image_model(forest if method == "source_forest" else unet, image_kind(source))
    model.fit(truth_windows(places), seed)
    return partial(_plain, model)


def _student(
    method: TransferMethod,
    source: Sequence[MappedScene],
    mapped_scenes: Sequence[MappedScene],
    settings: StudentSettings,
) -> Predictor:
    if method in ("student_unet", "student_finetuned"):
        settings = dataclasses.replace(settings, model="unet")
    elif method == "student_no_clusters":
        settings = dataclasses.replace(settings, teacher="weak_labels")
    elif method == "student_no_indices":
        settings = dataclasses.replace(settings, spectral_indices=False)
    model = image_model(settings, image_kind(mapped_scenes))
    if method == "student_finetuned":
        places = chosen_places(source, settings.windows, settings.seed)
        model.fit(truth_windows(places), settings.seed)
    student = train(mapped_scenes, model, settings)
    return lambda mapped_scene: (student.predict(mapped_scene), student.model.reach_px)


def _plain(model: ImageModel, _: MappedScene) -> tuple[Predict, int]:
    return lambda image, box: model.predict(image), model.reach_px  # noqa: ARG005


def _with_weak_labels(model: ImageModel, mapped_scene: MappedScene) -> tuple[Predict, int]:
    def predict(image: NDArray[np.float32], box: Box) -> NDArray[np.float32]:
        weak = mapped_scene.upsampled(mapped_scene.probabilities("weak_labels", box))
        return model.predict(with_channels(image, weak))

    return predict, model.reach_px


def _right_half(model: ImageModel, mapped_scene: MappedScene) -> tuple[Predict, int]:
    """The half that was not learned from; the other is no data."""
    edge = middle(mapped_scene)

    def predict(image: NDArray[np.float32], box: Box) -> NDArray[np.float32]:
        p = model.predict(image)
        p[..., : max(edge - box.x0, 0) * mapped_scene.fine.factor] = 0
        return p

    return predict, model.reach_px


def _constant(shares: NDArray[np.float32], _: MappedScene) -> tuple[Predict, int]:
    def predict(image: NDArray[np.float32], _: Box) -> NDArray[np.float32]:
        return np.broadcast_to(shares[:, None, None], (CLASS_COUNT, *image.shape[1:]))

    return predict, 0


def _labels(mapped_scenes: Sequence[MappedScene]) -> NDArray[np.uint8]:
    parts = [
        known_truth(mapped_scene, box).ravel()
        for mapped_scene in mapped_scenes
        for box in mapped_scene.windows()
    ]
    return np.concatenate(parts)
