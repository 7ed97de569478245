"""Settings of scenes: whose files, on which grid; and of synthetic cities."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from landcover_pnp.config import file_or_address, renamed, require_positive, require_within
from landcover_pnp.errors import SettingsError, nearest
from landcover_pnp.legends.coarse_legend import CoarseName, CoarseValues
from landcover_pnp.storage.bands import BandName

LARGEST_SEED = 2**31 - 1
"""Seeds count up from the one that is given, and scikit-learn takes 32 bits."""


@dataclass(frozen=True)
class LayerFile:
    """A weak layer (roads, buildings, water): a vector file, or a raster and what counts in it.

    Attributes:
        path: Raster (GeoTIFF, ...) or vector file (GeoPackage, shapefile, GeoJSON, ...), or the
            address of a GeoTIFF, GeoPackage, FlatGeobuf or GeoParquet file.
        codes: Raster values that mean presence; null means every non-zero value.
        layer: Layer of a vector file with several; null means the only one.
        width_m: Full width in metres that lines are drawn with, where the file has no attribute
            ``width_m``: a number of metres, or a text such as 24 ft or 12,5.
    """

    path: Path = file_or_address()
    codes: list[int] | None = None
    layer: str | None = None
    width_m: float = 8.0

    def __post_init__(self) -> None:
        """Refuses a line without width."""
        require_positive(self, "width_m")


@dataclass(frozen=True)
class CoarseFile:
    """One more coarse land-cover map.

    Attributes:
        path: Raster of one band of classes, any CRS.
        legend: Its legend: the name of one that is known, or a YAML file.
        values: Whether it holds the legend's codes or indices 1, 2, ... into it; null where its
            values can only be one of them.
    """

    path: Path = file_or_address()
    legend: CoarseName | Path = "nlcd"
    values: CoarseValues | None = None


@dataclass(frozen=True)
class TruthFile:
    """Truth labels of a scene, read by the co-occurrence of its own city and by evaluation only.

    Attributes:
        path: Label raster, or its address.
        legend: Name of its legend.
    """

    path: Path = file_or_address()
    legend: Literal["enviroatlas", "working"] = "enviroatlas"


@dataclass(frozen=True)
class LabelFile:
    """Places whose class is known: points, or polygons of one class each.

    Attributes:
        path: Vector file (GeoPackage, shapefile, GeoJSON, ...), or its address.
        layer: Layer of a file with several; null means the only one.
        attribute: Attribute with the names or codes of the map's classes; places in which it is
            empty are left out.
    """

    path: Path = file_or_address()
    layer: str | None = None
    attribute: str = "class"


@dataclass(frozen=True)
class RasterFiles:
    """A user's own files.

    Attributes:
        image: Aerial image, 3 (R,G,B) or 4 bands (R,G,B,NIR), uint8 or uint16, projected CRS; its
            bands in another order, or more, where tags, descriptions or ``bands`` name them. Or
            several as one area: a folder of them, a list (.txt, a path a line) or an index
            (GeoPackage, GeoJSON, STAC item collection) that names them. Or an address: of an
            image, a list, a STAC item, item collection or search.
        coarse: Coarse land-cover map, such as NLCD or WorldCover: raster of one band of classes,
            any CRS.
        roads: Roads.
        buildings: Buildings.
        water: Water bodies and streams.
        truth: Truth labels.
        area: Polygon file; outside it the map is no data.
        black_is_no_data: Whether pixels with 0 in every band are no data, for imagery that
            declares no value for it.
        image_root: Folder, or address of one, from which the paths in a list or index of images
            count, and below which they must lie; null is the folder of the list or index.
        image_crs: CRS, such as EPSG:26917, of the images to take where they are in several.
        bands: What the image's bands are, in the order of the file, such as [nir, red, green]:
            red, green, blue, nir, alpha for a mask, other for one that is not to be used; null
            takes what the file's tags and descriptions say, else the documented order.
        labels: Places whose class the user knows: a refinement of p(class | code) learns from
            them what classes look like here.
        legend: Legend of the coarse map: the name of one that is known, or a YAML file.
        coarse_values: Whether the coarse map holds its legend's codes or indices 1, 2, ... into
            it; null where its values can only be one of them.
        more_coarse: Further coarse maps, each with its legend, which are combined with the first.
        impervious: Percentages of impervious ground: raster of one band from 0 to 100, any CRS.
        canopy: Percentages of tree canopy, as well.
        percent_resolution_m: Pixel side in metres of the products that percentages come from, by
            which they are blurred.
        clouds: What hides the ground from the image: clouds and their shadows. Nothing is learned
            from the image there; the coarse maps count, and the prior fills what they leave open.
    """

    image: Path = file_or_address()
    coarse: Path = renamed("nlcd", lasting=True, addressed=True)
    roads: LayerFile | None = None
    buildings: LayerFile | None = None
    water: LayerFile | None = None
    truth: TruthFile | None = None
    area: Path | None = file_or_address(default=None)
    black_is_no_data: bool = False
    image_root: Path | None = file_or_address(default=None)
    image_crs: str | None = None
    bands: list[BandName] | None = None
    coarse_values: CoarseValues | None = renamed("nlcd_values", lasting=True, default=None)
    labels: LabelFile | None = None
    legend: CoarseName | Path = "nlcd"
    more_coarse: list[CoarseFile] = field(default_factory=list)
    impervious: Path | None = file_or_address(default=None)
    canopy: Path | None = file_or_address(default=None)
    percent_resolution_m: float = 30.0
    clouds: LayerFile | None = None

    def __post_init__(self) -> None:
        """Refuses pixels without size."""
        require_positive(self, "percent_resolution_m")

    @property
    def coarse_maps(self) -> list[CoarseFile]:
        """All coarse maps, the first one first."""
        return [CoarseFile(self.coarse, self.legend, self.coarse_values), *self.more_coarse]


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
        attribution: Makers and licence of each layer, a line each; the products carry them.
    """

    rasters: RasterFiles | None = None
    enviroatlas: EnviroAtlasTile | None = None
    resolution_m: float = 4.0
    attribution: list[str] | None = None

    def __post_init__(self) -> None:
        """Refuses pixels without size."""
        require_positive(self, "resolution_m")


Look = Literal["humid_east", "piedmont", "hill_country", "desert"]
"""Climates and building styles of synthetic cities."""


@dataclass(frozen=True)
class SyntheticSettings:
    """A procedural city.

    Attributes:
        look: Climate and building style.
        width_m: Side of the square city in metres.
        seed: The same seed draws the same city.
    """

    look: Look = "desert"
    width_m: int = 1024
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses a look and a seed that there are not."""
        if self.look not in (known := get_args(Look)):
            raise SettingsError(
                found=f"look is {self.look}",
                expected=f"one of {', '.join(known)}",
                fix=nearest(str(self.look), known),
            )
        require_within(self, 0, LARGEST_SEED, "seed")
