"""Settings of every stage as frozen dataclasses: the schema of all configuration files.

They stand together, apart from the stages that use them, so that the command line can
describe every key without importing torch or GDAL. Paths in a configuration file are
relative to that file's folder.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class LayerFile:
    """A weak layer (roads, buildings, water): a vector file, or a raster and what counts in it.

    Attributes:
        path: Raster (GeoTIFF, ...) or vector file (GeoPackage, shapefile, GeoJSON, ...).
        codes: Raster values that mean presence; null means every non-zero value.
        layer: Layer of a vector file with several; null means the only one.
        width_m: Full width in metres that lines are drawn with.
    """

    path: Path
    codes: list[int] | None = None
    layer: str | None = None
    width_m: float = 8.0


@dataclass(frozen=True)
class TruthFile:
    """Truth labels of a scene, read by the co-occurrence of its own city and by evaluation only.

    Attributes:
        path: Label raster.
        legend: Name of its legend.
    """

    path: Path
    legend: Literal["enviroatlas", "working"] = "enviroatlas"


@dataclass(frozen=True)
class RasterFiles:
    """A user's own files.

    Attributes:
        image: Aerial image, 3 (R,G,B) or 4 bands (R,G,B,NIR), uint8 or uint16, projected CRS.
        nlcd: NLCD raster, codes or data-set indices 0..16, any CRS.
        roads: Roads.
        buildings: Buildings.
        water: Water bodies and streams.
        truth: Truth labels.
        area: Polygon file; outside it the map is no data.
        black_is_no_data: Whether pixels with 0 in every band are no data, for imagery that
            declares no value for it.
    """

    image: Path
    nlcd: Path
    roads: LayerFile | None = None
    buildings: LayerFile | None = None
    water: LayerFile | None = None
    truth: TruthFile | None = None
    area: Path | None = None
    black_is_no_data: bool = False


@dataclass(frozen=True)
class EnviroAtlasTile:
    """One tile of the EnviroAtlas data set (Zenodo record 5778193), or of a synthetic city.

    Attributes:
        root: Folder that holds ``<city>-<split>_tiles-debuffered``.
        city: City, such as ``pittsburgh_pa-2010_1m``.
        split: Split of the data set.
        tile: Name of the tile; null where the split has only one.
    """

    root: Path
    city: str
    split: Literal["train", "val", "val5", "test"] = "test"
    tile: str | None = None


@dataclass(frozen=True)
class SceneSettings:
    """Where a scene's layers come from, and the working grid. Name one source.

    Attributes:
        rasters: A user's own files.
        enviroatlas: A tile of the EnviroAtlas data set.
        resolution_m: Pixel side of the working grid in metres.
    """

    rasters: RasterFiles | None = None
    enviroatlas: EnviroAtlasTile | None = None
    resolution_m: float = 4.0


@dataclass(frozen=True)
class SyntheticSettings:
    """A procedural city.

    Attributes:
        look: Climate and building style.
        width_m: Side of the square city in metres.
        seed: The same seed draws the same city.
    """

    look: Literal["humid_east", "piedmont", "hill_country", "desert"] = "desert"
    width_m: int = 1024
    seed: int = 0


@dataclass(frozen=True)
class WeakLabelSettings:
    """Weak labels from NLCD and vectors.

    Attributes:
        protocol: Where p(class | NLCD) comes from: ``target`` (the scene's own truth, as
            published), ``source`` (truth of other cities) or ``definitions`` (the NLCD
            legend's own texts, no labels at all).
        source_scenes: Configuration files of the source cities, for ``source``.
        nlcd_blur_m: Standard deviation of the Gaussian blur of one-hot NLCD, metres.
        nlcd_kernel_m: Width of that blur's kernel, metres.
        road_radius_m: Box radius of the roads' blur, metres.
        building_radius_m: Box radius of the buildings' blur, metres.
        water_radius_m: Box radius of the water's blur, metres.
    """

    protocol: Literal["target", "source", "definitions"] = "definitions"
    source_scenes: list[Path] = field(default_factory=list)
    nlcd_blur_m: float = 31.0
    nlcd_kernel_m: float = 101.0
    road_radius_m: float = 4.0
    building_radius_m: float = 4.0
    water_radius_m: float = 2.0


@dataclass(frozen=True)
class ClusterSettings:
    """Colour clusters of the image.

    Attributes:
        method: ``local`` is the Gaussian mixture whose parameters vary in space; ``gaussian``
            and ``kmeans`` are scikit-learn's, one fit per tile: neighbouring tiles agree less.
        clusters: Number of clusters.
        contrasts: Whether to cluster brightness and the differences of neighbouring bands. The
            released program clusters the bands themselves (false), but these rise and fall
            together, which diagonal variances cannot express.
        radius_px: Radius of the box means of the local mixture, working pixels.
        iterations: EM iterations; the released program's 30 map no better, and each one
            widens the surroundings that a pixel depends on.
        warmup_iterations: First iterations with the warm-up radius.
        warmup_radius_px: Their radius.
        variance_floor: Smallest variance; bands are scaled to 0..1.
        sample_px: Pixels of the whole scene sampled for the start centres.
    """

    method: Literal["local", "gaussian", "kmeans"] = "local"
    clusters: int = 5
    contrasts: bool = True
    radius_px: int = 15
    iterations: int = 10
    warmup_iterations: int = 0
    warmup_radius_px: int = 15
    variance_floor: float = 1e-4
    sample_px: int = 50_000


@dataclass(frozen=True)
class NoiseSettings:
    """Forward process of the prior (Ho et al. 2020).

    Attributes:
        steps: Number of noise levels T; the network sees t = 1..T.
        beta_start: Variance added at t = 1.
        beta_end: Variance added at t = T; linear in between.
    """

    steps: int = 1000
    beta_start: float = 1e-4
    beta_end: float = 2e-2


@dataclass(frozen=True)
class DenoiserSettings:
    """Architecture of the prior's U-Net (diffusers ``UNet2DModel``).

    Attributes:
        crop_px: Side of the training crops in pixels.
        resolution_m: Ground resolution of the label maps, metres.
        channels: Feature channels per level; attention at the lowest level only.
        layers_per_block: Residual blocks per level.
        head_channels: Channels of one attention head.
        norm_groups: Groups of the group normalisation.
        prediction: What the network puts out: the noise, as in the paper, or the velocity of
            Salimans & Ho 2022, which a small network learns in far fewer steps.
    """

    crop_px: int = 64
    resolution_m: float = 4.0
    channels: list[int] = field(default_factory=lambda: [32, 48, 64, 128])
    layers_per_block: int = 1
    head_channels: int = 32
    norm_groups: int = 16
    prediction: Literal["epsilon", "velocity"] = "velocity"


@dataclass(frozen=True)
class LabelFolder:
    """A folder of label GeoTIFFs the prior learns from.

    Attributes:
        path: Folder, searched recursively.
        pattern: File name pattern.
        legend: Legend of the files.
    """

    path: Path
    pattern: str = "*.tif"
    legend: Literal["enviroatlas", "working"] = "enviroatlas"


@dataclass(frozen=True)
class TrainPriorSettings:
    """Training of a prior.

    Attributes:
        out: Folder of the prior that is written.
        labels: Folders of label maps.
        synthetic_maps: Synthetic label maps drawn in addition, spread over the four looks.
        synthetic_width_m: Side of each.
        denoiser: Network.
        noise: Forward process.
        steps: Optimiser steps.
        batch_size: Crops per step.
        learning_rate: Adam's learning rate, falling linearly to 0 after the warm-up.
        warmup_steps: Steps of linear warm-up of the learning rate.
        ema_decay: Decay of the moving average of the weights that is kept.
        val_share: Share of the label maps held out for the validation loss.
        precision: Arithmetic; bf16 is faster where the processor computes with it.
        seed: Seed of maps, crops, noise and weights.
        workers: Data loader processes.
    """

    out: Path
    labels: list[LabelFolder] = field(default_factory=list)
    synthetic_maps: int = 0
    synthetic_width_m: int = 1600
    denoiser: DenoiserSettings = field(default_factory=DenoiserSettings)
    noise: NoiseSettings = field(default_factory=NoiseSettings)
    steps: int = 4000
    batch_size: int = 32
    learning_rate: float = 3e-4
    warmup_steps: int = 200
    ema_decay: float = 0.999
    val_share: float = 0.1
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    seed: int = 0
    workers: int = 0


@dataclass(frozen=True)
class SamplePriorSettings:
    """A picture of samples beside real crops.

    Attributes:
        out: PNG file.
        prior: Folder of the prior; null is the shipped one.
        labels: Label maps for the real crops; null draws synthetic ones.
        samples: Number of samples, and of real crops.
        steps: Denoising steps of a sample.
        seed: Seed of samples and crops.
    """

    out: Path = Path("prior_samples.png")
    prior: Path | None = None
    labels: LabelFolder | None = None
    samples: int = 16
    steps: int = 100
    seed: int = 0


@dataclass(frozen=True)
class EvidenceSettings:
    """The engine without a prior: cluster votes and block matching in turn.

    Attributes:
        iterations: Rounds.
        radius_px: Box radius of the votes and of the weak block means, working pixels.
    """

    iterations: int = 5
    radius_px: int = 15


@dataclass(frozen=True)
class Algorithm1Settings:
    """Algorithm 1 of Graikos et al. 2022; the defaults are its data-set recipe.

    Attributes:
        steps: Optimisation steps S.
        learning_rate: Adam's learning rate, falling linearly over the steps.
        learning_rate_end: Factor of the learning rate after the last step.
        beta1: Adam's first decay.
        time_wave: Period factor of the cosine in the time schedule.
        radius_px: Radius of the windows of mutual information and weak-label KL: 15 is 31 x 31.
        mutual_information_weight: Factor of w MI.
        weak_label_weight: Factor of w KL.
        weak_label_blocks: Whether weak labels hold for non-overlapping blocks, as in the paper,
            instead of running windows, as in the released program.
        clean_up_t: Noise level the result is noised to before ancestral sampling cleans it up.
    """

    steps: int = 200
    learning_rate: float = 5e-3
    learning_rate_end: float = 1e-3
    beta1: float = 0.0
    time_wave: float = 10.0
    radius_px: int = 15
    mutual_information_weight: float = 1.0
    weak_label_weight: float = 1.0
    weak_label_blocks: bool = False
    clean_up_t: int = 100


SINGLE_PATCH_RECIPE = Algorithm1Settings(
    steps=500,
    learning_rate=1e-3,
    learning_rate_end=1e-4,
    beta1=0.9,
    time_wave=30.0,
    clean_up_t=200,
)
"""The released program's recipe for one patch."""


@dataclass(frozen=True)
class DenoiseSettings:
    """The evidence map, noised a little and denoised by the prior.

    Attributes:
        t: Noise level, out of the prior's T; above about 300 of 1000 rare classes go.
        draws: Noise draws that are averaged.
    """

    t: int = 100
    draws: int = 8


@dataclass(frozen=True)
class InferenceSettings:
    """How a tile is inferred.

    Attributes:
        engine: Name of the engine.
        prior: Folder of the prior; null is the shipped one.
        view_px: Side of the crops the prior sees of a larger canvas, working pixels; smaller
            ones need less memory and more time.
        evidence: Settings of the engine ``evidence``, also where ``denoise`` starts.
        denoise: Settings of the engine ``denoise``.
        algorithm1: Settings of the engine ``algorithm1``.
    """

    engine: Literal["evidence", "denoise", "algorithm1"] = "evidence"
    prior: Path | None = None
    view_px: int = 256
    evidence: EvidenceSettings = field(default_factory=EvidenceSettings)
    denoise: DenoiseSettings = field(default_factory=DenoiseSettings)
    algorithm1: Algorithm1Settings = field(default_factory=Algorithm1Settings)


@dataclass(frozen=True)
class TileSettings:
    """How the working grid is cut into tiles.

    Attributes:
        core_px: Side of the core that a tile answers for, working pixels.
        ring_px: Overlap on each side, working pixels.
    """

    core_px: int = 192
    ring_px: int = 32


@dataclass(frozen=True)
class MapSettings:
    """A map of one scene.

    Attributes:
        scene: Layers and working grid.
        weak_labels: Weak labels.
        clusters: Clusters.
        inference: Engine and prior.
        tiles: Tiles.
        seed: Seed of everything random.
        workers: Worker processes; null is one a core.
    """

    scene: SceneSettings
    weak_labels: WeakLabelSettings = field(default_factory=WeakLabelSettings)
    clusters: ClusterSettings = field(default_factory=ClusterSettings)
    inference: InferenceSettings = field(default_factory=InferenceSettings)
    tiles: TileSettings = field(default_factory=TileSettings)
    seed: int = 0
    workers: int | None = None


@dataclass(frozen=True)
class EvaluateSettings:
    """Scores of a finished run.

    Attributes:
        truth: Truth raster; any grid that covers the same ground.
        legend: Its legend.
        protocol: ``five_classes`` counts shrubs and wetlands as trees and agriculture as grass;
            ``published`` takes only the five EnviroAtlas classes as truth, while predictions
            on other truth still count in the unions (Graikos et al. 2022).
        overlap: Whether truth and map may cover different ground; what both cover is scored.
    """

    truth: Path
    legend: Literal["enviroatlas", "working"] = "enviroatlas"
    protocol: Literal["five_classes", "published"] = "five_classes"
    overlap: bool = False


@dataclass(frozen=True)
class DemoSettings:
    """The demo: a synthetic city drawn, mapped and scored.

    p(class | NLCD) comes from a second city of the same look: the protocol ``source``.

    Attributes:
        out: Folder of the city and of the run.
        city: The city.
        inference: Engine and prior.
        seed: Seed of the run.
        workers: Worker processes; null is one a core.
    """

    out: Path = Path("demo")
    city: SyntheticSettings = field(default_factory=SyntheticSettings)
    inference: InferenceSettings = field(
        default_factory=lambda: InferenceSettings(engine="denoise")
    )
    seed: int = 0
    workers: int | None = None
