"""Settings of transfer runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from landcover_pnp.config import renamed, require_positive, require_within
from landcover_pnp.evidence.settings import ClusterSettings, RefinementSettings
from landcover_pnp.inference.settings import InferenceSettings
from landcover_pnp.pipeline.settings import MOST_WORKERS, TileSettings
from landcover_pnp.scenes.settings import EnviroAtlasTile, RasterFiles, SyntheticSettings
from landcover_pnp.student.settings import StudentSettings

MatrixSource = Literal["source", "source_refined", "definitions", "definitions_refined", "target"]
"""Where p(class | code) comes from; ``_refined``: re-estimated from each city's colours."""

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
    "student_no_indices",
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
            matrix source ``target`` and the method ``half_city``, which say so.
        matrix_sources: Where p(class | code) comes from.
        methods: Methods in the order of the table.
        seeds: Seeds of the methods that learn; an interval over seeds needs two.
        interval_over_seeds: Whether to give one.
        scores: See ``EvaluateSettings.scheme``.
        inference: Engine of the method ``map``.
        clusters: Clusters.
        tiles: Tiles.
        student: Student; its model is that of the method ``student``.
        refinement: How the ``_refined`` matrix sources re-estimate p(class | code).
        resolution_m: Pixel side of the working grid.
        workers: Worker processes of the map stage; null is one a core.
    """

    source: TransferCity
    targets: list[TransferCity]
    matrix_sources: list[MatrixSource] = renamed(
        "protocols",
        {
            "source_repaired": "source_refined",
            "definitions_repaired": "definitions_refined",
        },
        default_factory=lambda: ["source", "source_refined", "definitions_refined"],
    )
    methods: list[TransferMethod] = renamed(
        "methods",
        {"student_no_tones": "student_no_indices"},
        default_factory=lambda: [
            "majority",
            "source_forest",
            "weak_labels",
            "evidence",
            "map",
            "student",
        ],
    )
    seeds: list[int] = field(default_factory=lambda: [0])
    interval_over_seeds: bool = False
    scores: Literal["five_classes", "published"] = "five_classes"
    inference: InferenceSettings = field(default_factory=InferenceSettings)
    clusters: ClusterSettings = field(default_factory=ClusterSettings)
    tiles: TileSettings = field(default_factory=TileSettings)
    student: StudentSettings = field(default_factory=StudentSettings)
    refinement: RefinementSettings = renamed("repair", default_factory=RefinementSettings)
    resolution_m: float = 4.0
    workers: int | None = None

    def __post_init__(self) -> None:
        """Refuses pixels without size, and a number of workers that there cannot be."""
        require_positive(self, "resolution_m")
        require_within(self, 0, MOST_WORKERS, "workers")
