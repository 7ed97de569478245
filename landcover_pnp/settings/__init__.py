"""Settings of every stage as frozen dataclasses: the schema of all configuration files.

They stand together, apart from the stages that use them, so that the command line can
describe every key without importing torch or GDAL. Paths in a configuration file are
relative to that file's folder.
"""

from landcover_pnp.settings.evidence import ClusterSettings, RepairSettings, WeakLabelSettings
from landcover_pnp.settings.inference import (
    RECIPES,
    Algorithm1Settings,
    ConstraintSettings,
    DenoiseSettings,
    EvidenceSettings,
    GuidedSettings,
    InferenceSettings,
    TileSettings,
)
from landcover_pnp.settings.mapping import (
    BatchSettings,
    DemoSettings,
    EvaluateSettings,
    MapSettings,
    NoSettings,
)
from landcover_pnp.settings.prior import (
    CropSettings,
    DenoiserSettings,
    ExportPriorSettings,
    ImportPriorSettings,
    JudgePriorSettings,
    LabelFolder,
    NoiseSettings,
    SamplePriorSettings,
    TrainPriorSettings,
)
from landcover_pnp.settings.publishing import (
    CatalogSettings,
    CompareSettings,
    PublishSettings,
    ReportSettings,
    ZonalSettings,
)
from landcover_pnp.settings.scenes import (
    EnviroAtlasTile,
    LayerFile,
    RasterFiles,
    SceneSettings,
    SyntheticSettings,
    TruthFile,
)
from landcover_pnp.settings.student import ForestSettings, StudentSettings, UNetSettings
from landcover_pnp.settings.transfer import (
    TransferCity,
    TransferMethod,
    TransferProtocol,
    TransferSettings,
)

__all__ = [
    "LayerFile",
    "TruthFile",
    "RasterFiles",
    "EnviroAtlasTile",
    "SceneSettings",
    "SyntheticSettings",
    "RepairSettings",
    "WeakLabelSettings",
    "ClusterSettings",
    "NoiseSettings",
    "DenoiserSettings",
    "LabelFolder",
    "CropSettings",
    "ExportPriorSettings",
    "ImportPriorSettings",
    "JudgePriorSettings",
    "TrainPriorSettings",
    "SamplePriorSettings",
    "EvidenceSettings",
    "Algorithm1Settings",
    "RECIPES",
    "ConstraintSettings",
    "DenoiseSettings",
    "GuidedSettings",
    "InferenceSettings",
    "TileSettings",
    "MapSettings",
    "BatchSettings",
    "EvaluateSettings",
    "DemoSettings",
    "PublishSettings",
    "ReportSettings",
    "ZonalSettings",
    "CompareSettings",
    "CatalogSettings",
    "NoSettings",
    "ForestSettings",
    "UNetSettings",
    "StudentSettings",
    "TransferCity",
    "TransferMethod",
    "TransferProtocol",
    "TransferSettings",
]
