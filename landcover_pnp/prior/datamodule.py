"""Batches of crops for Lightning: what is learned from, what is held out, where it goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Sampler

from landcover_pnp.errors import SettingsError
from landcover_pnp.prior.crops import Crop, LabelCrops, LabelSource
from landcover_pnp.prior.label_maps import LabelMap
from landcover_pnp.prior.settings import CropSettings, TrainPriorSettings

VALIDATION_CROPS = 256
"""Number of crops of the held-out maps that the validation loss is taken over."""


class LabelMapsModule(pl.LightningDataModule):
    """Crops for training and for validation, from different maps of each source.

    Args:
        sources: Label maps with their weights.
        settings: Crops, batch size, number of steps, share held out, seed.

    Attributes:
        train: Sources the prior learns from.
        held_out: Sources of the held-out maps; a source of a single map has none.

    Raises:
        SettingsError: If there is nothing to learn from or nothing to hold out, or a crop does
            not fit into a map.
    """

    def __init__(self, sources: Sequence[LabelSource], settings: TrainPriorSettings) -> None:
        super().__init__()
        self.settings = settings
        self.train, self.held_out = split_sources(sources, settings)
        if not self.held_out:
            count = sum(len(source.maps) for source in sources)
            raise SettingsError(
                found=f"{count} label maps, none of them held out: val_share is "
                f"{settings.val_share:g}, a source of one map is learned from as a whole",
                expected="val_share above 0, and a source of two or more label maps",
                fix="name more files in labels, or set synthetic_maps",
            )
        self._crops = self._cropped(self.train, settings.steps * settings.batch_size, 0)
        plain = replace(settings.crops, rotate=False, scale_jitter=1.0)
        self._val_crops = self._cropped(self.held_out, VALIDATION_CROPS, 1, plain)

    def train_dataloader(self) -> DataLoader[Crop]:
        """Batches of crops, one a training step, from the step on that the training is at."""
        trainer = self.trainer
        step, rank = (trainer.global_step, trainer.global_rank) if trainer else (0, 0)
        # Each device draws crops of its own.
        self._crops.seed = (self.settings.seed, 0, rank)
        return self._loader(self._crops, step * self.settings.batch_size)

    def val_dataloader(self) -> DataLoader[Crop]:
        """The same batches at every call."""
        return self._loader(self._val_crops, 0)

    def names(self, crop: Crop) -> list[str]:
        """Names of the maps that a training batch was cut from."""
        return sorted({self._crops.maps[i].name for i in crop.origin.tolist()})

    def _cropped(
        self,
        sources: Sequence[LabelSource],
        count: int,
        purpose: int,
        crops: CropSettings | None = None,
    ) -> LabelCrops:
        s = self.settings
        return LabelCrops(
            sources,
            s.crop_px,
            s.resolution_m,
            count,
            (s.seed, purpose, 0),
            crops or s.crops,
        )

    def _loader(self, crops: LabelCrops, first: int) -> DataLoader[Crop]:
        return DataLoader(
            crops,
            batch_size=self.settings.batch_size,
            sampler=_From(first, len(crops)),
            num_workers=self.settings.workers,
            generator=torch.Generator(),  # keeps the loader off the global one
        )


class _From(Sampler[int]):
    """Numbers from ``first`` on; the length is of all, as Lightning counts a resumed epoch."""

    def __init__(self, first: int, count: int) -> None:
        self.first = first
        self.count = count

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.count))

    def __len__(self) -> int:
        return self.count


def split_sources(
    sources: Sequence[LabelSource], settings: TrainPriorSettings
) -> tuple[list[LabelSource], list[LabelSource]]:
    """Parts a training learns from and parts it holds out; the first sources fix their own split.

    Args:
        sources: Sources in the order of the settings.
        settings: Share held out, and seed.

    Returns:
        Sources to learn from and sources held out, without empty ones.
    """
    rng = np.random.default_rng(settings.seed)
    parts = [_split(source, settings.val_share, rng) for source in sources if source.maps]
    return [train for train, _ in parts], [held_out for _, held_out in parts if held_out.maps]


def _split(
    source: LabelSource, share: float, rng: np.random.Generator
) -> tuple[LabelSource, LabelSource]:
    """Places of a source to learn from, and a share of them to hold out; one is always left."""
    places: dict[str | int, list[LabelMap]] = {}
    for number, label_map in enumerate(source.maps):
        places.setdefault(label_map.place or number, []).append(label_map)
    grouped = list(places.values())
    order = rng.permutation(len(grouped))
    count = min(max(1, round(share * len(order))), len(order) - 1) if share else 0
    held_out, train = order[:count], order[count:]
    return (
        LabelSource([m for i in train for m in grouped[i]], source.weight),
        LabelSource([m for i in held_out for m in grouped[i]], source.weight),
    )
