"""Crops of a training, cut once into one file that a bare machine learns from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from landcover_pnp.errors import RequestError, SettingsError
from landcover_pnp.legend import WORKING
from landcover_pnp.prior.crop_file import CropFile
from landcover_pnp.prior.crops import LabelCrops, LabelSource
from landcover_pnp.prior.datamodule import split_sources
from landcover_pnp.prior.label_maps import draw_label_maps, read_label_maps
from landcover_pnp.prior.masked_settings import CutCropsSettings
from landcover_pnp.prior.settings import TrainPriorSettings


@dataclass(frozen=True)
class CutCropsSummary:
    """What was cut.

    Attributes:
        out: File of crops.
        crops: Crops to learn from.
        held_out: Crops of held-out maps.
        maps: Label maps that were cut.
        shares: Share of each class in the crops to learn from, by name.
        bytes: Size of the file.
        seconds: Wall time.
    """

    out: Path
    crops: int
    held_out: int
    maps: int
    shares: dict[str, float]
    bytes: int
    seconds: float


def cut_crops(training: TrainPriorSettings, settings: CutCropsSettings) -> CutCropsSummary:
    """Cuts the crops of a training: the label maps, shares and turns are those of the training.

    Args:
        training: Configuration of the training.
        settings: How many, and the file; an older file of crops is replaced.

    Returns:
        What was cut.

    Raises:
        LandcoverError: If the label maps do not do, none is held out, or the file is something
            else.
    """
    start = time.monotonic()
    _require_ours(settings.out)
    sources = [*folder_sources(training), drawn_source(training)]
    learned, held_out = split_sources(sources, training)
    if not held_out:
        raise SettingsError(
            found=f"{sum(len(s.maps) for s in sources)} label maps, none of them held out",
            expected="val_share above 0, and a source of two or more label maps",
            fix="name more files in labels, or set synthetic_maps",
        )
    plain = replace(training.crops, rotate=False, scale_jitter=1.0)
    file = CropFile(
        _cut(learned, training, settings.crops, 0),
        _cut(held_out, replace(training, crops=plain), settings.held_out, 1),
        training.resolution_m,
        {
            "labels": [
                {"folder": f.path.name, "files": f.pattern, "weight": f.weight}
                for f in training.labels
            ],
            "synthetic_maps": training.synthetic_maps,
            "synthetic_weight": training.synthetic_weight,
            "licence": training.licence,
        },
    )
    file.write(settings.out)
    counts = np.bincount(file.codes.ravel(), minlength=len(WORKING.classes) + 1)[1:]
    return CutCropsSummary(
        out=settings.out,
        crops=len(file.codes),
        held_out=len(file.held_out),
        maps=sum(len(source.maps) for source in sources),
        shares=dict(zip(WORKING.names, (counts / counts.sum()).tolist(), strict=True)),
        bytes=settings.out.stat().st_size,
        seconds=time.monotonic() - start,
    )


def folder_sources(settings: TrainPriorSettings) -> list[LabelSource]:
    """The folders of label maps of a training, skeletons dressed."""
    return [
        LabelSource(read_label_maps(folder, settings.resolution_m, settings.seed), folder.weight)
        for folder in settings.labels
    ]


def drawn_source(settings: TrainPriorSettings) -> LabelSource:
    """Synthetic label maps, with a bar that shows how far their drawing is."""
    count = settings.synthetic_maps
    maps = draw_label_maps(count, settings.synthetic_width_m, settings.seed)
    shown = track(maps, "drawing label maps", count) if count else maps
    return LabelSource(list(shown), settings.synthetic_weight)


def _cut(
    sources: Sequence[LabelSource], settings: TrainPriorSettings, count: int, purpose: int
) -> NDArray[np.uint8]:
    """(crop, y, x) uint8, 0 = unlabelled; the first crops of a training on one device."""
    side = settings.crop_px
    seed = (settings.seed, purpose, 0)
    crops = LabelCrops(sources, side, settings.resolution_m, count, seed, settings.crops)
    codes = np.empty((count, side, side), np.uint8)
    for number in track(range(count), "cutting crops", count):
        codes[number] = crops.codes(number)[1]
    return codes


def _require_ours(path: Path) -> None:
    """Refuses to replace what is no file of crops."""
    if path.exists() and not (path.is_file() and CropFile.is_one(path)):
        raise RequestError(
            found=f"{path} is there already, and is no file of crops",
            expected="a new file, or an older file of crops to replace",
            fix="choose another --out",
        )
