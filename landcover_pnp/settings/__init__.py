"""Settings of every stage as frozen dataclasses: the schema of all configuration files.

They stand together, apart from the stages that use them, so that the command line can
describe every key without importing torch or GDAL. Paths in a configuration file are
relative to that file's folder.
"""

from landcover_pnp.settings.evidence import ClusterSettings, WeakLabelSettings
from landcover_pnp.settings.inference import (
    SINGLE_PATCH_RECIPE,
    Algorithm1Settings,
    DenoiseSettings,
    EvidenceSettings,
    InferenceSettings,
    TileSettings,
)
from landcover_pnp.settings.mapping import DemoSettings, EvaluateSettings, MapSettings
from landcover_pnp.settings.prior import (
    DenoiserSettings,
    LabelFolder,
    NoiseSettings,
    SamplePriorSettings,
    TrainPriorSettings,
)
from landcover_pnp.settings.scenes import (
    EnviroAtlasTile,
    LayerFile,
    RasterFiles,
    SceneSettings,
    SyntheticSettings,
    TruthFile,
)

__all__ = [
    "LayerFile",
    "TruthFile",
    "RasterFiles",
    "EnviroAtlasTile",
    "SceneSettings",
    "SyntheticSettings",
    "WeakLabelSettings",
    "ClusterSettings",
    "NoiseSettings",
    "DenoiserSettings",
    "LabelFolder",
    "TrainPriorSettings",
    "SamplePriorSettings",
    "EvidenceSettings",
    "Algorithm1Settings",
    "SINGLE_PATCH_RECIPE",
    "DenoiseSettings",
    "InferenceSettings",
    "TileSettings",
    "MapSettings",
    "EvaluateSettings",
    "DemoSettings",
]
