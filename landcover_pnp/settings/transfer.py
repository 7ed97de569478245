"""Settings of students and transfer runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from landcover_pnp.settings.evidence import ClusterSettings, RepairSettings
from landcover_pnp.settings.inference import InferenceSettings, TileSettings
from landcover_pnp.settings.scenes import EnviroAtlasTile, RasterFiles, SyntheticSettings


@dataclass(frozen=True)
class ForestSettings:
    """A random forest on colour and texture.

    Attributes:
        trees: Number of trees.
        leaf_px: Smallest number of pixels in a leaf.
        features_share: Share of the features tried at each split.
        sample_px: Fine pixels it learns from, spread over all windows.
        radii_m: Radii of the boxes whose means and deviations it sees, metres.
    """

    trees: int = 40
    leaf_px: int = 10
    features_share: float = 0.35
    sample_px: int = 20_000
    radii_m: list[float] = field(default_factory=lambda: [1.5, 4.0, 10.0])


@dataclass(frozen=True)
class UNetSettings:
    """A small U-Net.

    Attributes:
        channels: Feature channels by level, each half as fine as the one above; multiples of 8.
        steps: Optimiser steps from scratch.
        steps_more: Optimiser steps when it goes on from what it knows.
        batch_size: Crops a step.
        crop_px: Side of the crops, working pixels.
        learning_rate: Largest learning rate of AdamW, of a one-cycle schedule.
        jitter: Standard deviation of the random gain of each band.
    """

    channels: list[int] = field(default_factory=lambda: [16, 32, 48])
    steps: int = 200
    steps_more: int = 100
    batch_size: int = 4
    crop_px: int = 24
    learning_rate: float = 3e-3
    jitter: float = 0.05


@dataclass(frozen=True)
class StudentSettings:
    """An image model taught in the city itself by the map of finished runs.

    Attributes:
        model: The image model.
        teacher: What the first round learns: the map, or a baseline of the run.
        rounds: Most rounds.
        settled: The rounds end when one changes the class of less than this share of pixels.
        greenness: Whether vegetation is expected to be green: a normalised green-red difference
            then counts as evidence, see ``repair.class_given_greenness``.
        windows: Most windows of 64 working pixels that it learns from, spread over all runs.
        forest: The random forest.
        unet: The U-Net.
        seed: Seed of everything random.
    """

    model: Literal["forest", "unet"] = "forest"
    teacher: Literal["map", "evidence", "weak_labels"] = "map"
    rounds: int = 3
    settled: float = 0.01
    greenness: bool = True
    windows: int = 100
    forest: ForestSettings = field(default_factory=ForestSettings)
    unet: UNetSettings = field(default_factory=UNetSettings)
    seed: int = 0


TransferProtocol = Literal[
    "source", "source_repaired", "definitions", "definitions_repaired", "target"
]
"""Where p(class | NLCD) comes from; ``_repaired``: re-estimated from each city's colours."""

TransferMethod = Literal[
    "majority",
    "weak_labels",
    "evidence",
    "map",
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
]
"""Methods of a transfer run, see docs/transfer.md."""


@dataclass(frozen=True)
class TransferCity:
    """A city of a transfer run. Name one source of its files.

    Attributes:
        name: Name of its folder in the run.
        rasters: A user's own files.
        enviroatlas: Tiles of the EnviroAtlas data set; all of the split where none is named.
        synthetic: A synthetic city, drawn into the run folder.
    """

    name: str
    rasters: RasterFiles | None = None
    enviroatlas: EnviroAtlasTile | None = None
    synthetic: SyntheticSettings | None = None


@dataclass(frozen=True)
class TransferSettings:
    """One city's labels, other cities' maps.

    Attributes:
        source: The city whose labels may be used.
        targets: Cities whose truth, where there is any, is read by evaluation alone, and by the
            protocol ``target`` and the method ``half_city``, which say so.
        protocols: Where p(class | NLCD) comes from.
        methods: Methods in the order of the table.
        seeds: Seeds of the methods that learn; an interval over seeds needs two.
        interval_over_seeds: Whether to give one.
        scores: See ``EvaluateSettings.protocol``.
        inference: Engine of the method ``map``.
        clusters: Clusters.
        tiles: Tiles.
        student: Student; its model is that of the method ``student``.
        repair: How the ``_repaired`` protocols re-estimate p(class | NLCD).
        resolution_m: Pixel side of the working grid.
        workers: Worker processes of the map stage; null is one a core.
    """

    source: TransferCity
    targets: list[TransferCity]
    protocols: list[TransferProtocol] = field(
        default_factory=lambda: ["source", "source_repaired", "definitions_repaired"]
    )
    methods: list[TransferMethod] = field(
        default_factory=lambda: [
            "majority",
            "source_forest",
            "weak_labels",
            "evidence",
            "map",
            "student",
        ]
    )
    seeds: list[int] = field(default_factory=lambda: [0])
    interval_over_seeds: bool = False
    scores: Literal["five_classes", "published"] = "five_classes"
    inference: InferenceSettings = field(default_factory=InferenceSettings)
    clusters: ClusterSettings = field(default_factory=ClusterSettings)
    tiles: TileSettings = field(default_factory=TileSettings)
    student: StudentSettings = field(default_factory=StudentSettings)
    repair: RepairSettings = field(default_factory=RepairSettings)
    resolution_m: float = 4.0
    workers: int | None = None
