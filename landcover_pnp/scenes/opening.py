"""A scene from Python: files or arrays in, one Scene out."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from landcover_pnp.config.addresses import as_path, is_address
from landcover_pnp.config.schema import old_names
from landcover_pnp.errors import SettingsError, nearest
from landcover_pnp.legends.coarse_legend import COARSE_NAMES, CoarseLegend, CoarseValues
from landcover_pnp.scenes.array_files import write_array
from landcover_pnp.scenes.enviroatlas import tile_files
from landcover_pnp.scenes.preparation import prepare_scene
from landcover_pnp.scenes.rasters import plan_scene
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.scenes.settings import (
    CoarseFile,
    EnviroAtlasTile,
    LabelFile,
    LayerFile,
    Look,
    RasterFiles,
    SyntheticSettings,
    TruthFile,
)
from landcover_pnp.scenes.synthetic import write_city
from landcover_pnp.storage.owned_folder import make_owned
from landcover_pnp.storage.run_folder import RunFolder

Layer = str | Path | xr.DataArray
"""A raster or vector file, or an array with CRS and coordinates."""


@dataclass(frozen=True)
class CoarseMap:
    """A coarse land-cover map, the evidence of what is where within tens of metres.

    Attributes:
        source: Raster file, or array with CRS and coordinates.
        legend: Its legend: the name of one that is known, see ``COARSE_NAMES``, or a YAML file.
        values: Whether it holds the legend's codes or indices 1, 2, ... into it; None where its
            values can only be one of them.
    """

    source: Layer
    legend: str | Path = "nlcd"
    values: CoarseValues | None = None


def open_scene(
    image: Layer,
    *,
    coarse: Layer | CoarseMap | Sequence[Layer | CoarseMap] | None = None,
    nlcd: Layer | None = None,
    roads: Layer | LayerFile | None = None,
    buildings: Layer | LayerFile | None = None,
    water: Layer | LayerFile | None = None,
    truth: Layer | TruthFile | None = None,
    labels: str | Path | LabelFile | None = None,
    impervious: Layer | None = None,
    canopy: Layer | None = None,
    area: str | Path | None = None,
    resolution_m: float = 4.0,
    folder: str | Path | None = None,
    **options: Any,
) -> Scene:
    """Brings a scene's layers onto one working grid.

    Args:
        image: Aerial image, 3 (R,G,B) or 4 bands (R,G,B,NIR), uint8 or uint16, projected CRS; a
            file, or what else ``RasterFiles.image`` takes, or an array (band, y, x).
        coarse: Coarse land-cover map with its legend, or several, which are combined; NLCD where
            no legend is named.
        nlcd: Short for a ``coarse`` map of the NLCD legend.
        roads: Roads, vector or raster.
        buildings: Buildings.
        water: Water bodies and streams.
        truth: Truth labels, for scores alone.
        labels: Places whose class is known: points or polygons with an attribute ``class``.
        impervious: Percentages of impervious ground, 0 to 100.
        canopy: Percentages of tree canopy, as well.
        area: Polygon file; outside it the map is no data.
        resolution_m: Pixel side of the working grid, metres.
        folder: Where the prepared layers go, a new or empty folder that a map of the scene may
            become a run in; None is a temporary one that goes with the scene.
        **options: Further fields of ``RasterFiles``.

    Returns:
        The scene.

    Raises:
        RequestError: If a layer cannot be used; each says how to mend it.
    """
    maps = _coarse(coarse, nlcd)
    with _home(folder) as home:
        names = ["coarse", *(f"coarse_{number}" for number in range(2, len(maps) + 1))]
        first, *more = (_coarse_file(m, name, home) for m, name in zip(maps, names, strict=True))
        files = RasterFiles(
            image=_file(image, "image", home),
            coarse=first.path,
            more_coarse=more,
            impervious=None if impervious is None else _file(impervious, "impervious", home),
            canopy=None if canopy is None else _file(canopy, "canopy", home),
            roads=_layer(roads, "roads", home),
            buildings=_layer(buildings, "buildings", home),
            water=_layer(water, "water", home),
            truth=truth if isinstance(truth, TruthFile) else _truth(truth, home),
            labels=LabelFile(_path(labels, "labels")) if isinstance(labels, str | Path) else labels,
            area=None if area is None else _path(area, "area"),
            **{"legend": first.legend, "coarse_values": first.values, **_known(options)},
        )
        return _prepared(files, resolution_m, home, temporary=folder is None)


def synthetic_scene(
    look: Look = "desert",
    *,
    width_m: int = 512,
    seed: int = 0,
    resolution_m: float = 4.0,
    folder: str | Path | None = None,
) -> Scene:
    """Draws a synthetic city and opens it, with its truth.

    Args:
        look: Climate and building style.
        width_m: Side of the square city in metres.
        seed: The same seed draws the same city.
        resolution_m: Pixel side of the working grid, metres.
        folder: As for ``open_scene``.

    Returns:
        The scene.

    Raises:
        SettingsError: If the city is too small, or there is no such look.
    """
    with _home(folder) as home:
        root = home / _INPUTS
        city = write_city(SyntheticSettings(look, width_m, seed), root)
        files = tile_files(EnviroAtlasTile(root, city.city, "test", city.tile))
        return _prepared(files, resolution_m, home, temporary=folder is None)


_INPUTS = "inputs"


@contextmanager
def _home(folder: str | Path | None) -> Iterator[Path]:
    """The folder of a scene; a temporary one goes where the scene cannot be made."""
    if folder is not None:
        yield Path(folder)
        return
    home = Path(tempfile.mkdtemp(prefix="landcover-"))
    try:
        yield home
    except BaseException:
        shutil.rmtree(home)
        raise


def _prepared(
    files: RasterFiles,
    resolution_m: float,
    home: Path,
    *,
    temporary: bool,
) -> Scene:
    plan = plan_scene(files, resolution_m)
    run = RunFolder(home / _RUN)
    with run.held() as owned:
        owned.kept = True
        prepared = prepare_scene(plan, run.scene, owner=owned)
    scene = dataclasses.replace(prepared, files=files)
    if temporary:
        weakref.finalize(scene, shutil.rmtree, home)
    return scene


_RUN = "run"


def _coarse(
    coarse: Layer | CoarseMap | Sequence[Layer | CoarseMap] | None, nlcd: Layer | None
) -> list[CoarseMap]:
    """The coarse maps; those without a legend are NLCD."""
    given: Any = nlcd if coarse is None else coarse
    several = isinstance(given, Sequence) and not isinstance(given, str)
    maps = list(given) if several else [given]
    if not maps or (coarse is None) == (nlcd is None):
        raise SettingsError(
            found="both coarse and nlcd" if nlcd is not None else "no coarse map",
            expected="one coarse land-cover map, or a list of them",
            fix="give coarse=CoarseMap(path, legend), or nlcd=path for NLCD",
        )
    found = [map_ if isinstance(map_, CoarseMap) else CoarseMap(map_) for map_ in maps]
    for map_ in found:
        CoarseLegend.load(map_.legend)  # refused before a file is written
    return found


def _coarse_file(map_: CoarseMap, name: str, home: Path) -> CoarseFile:
    legend: Any = map_.legend if map_.legend in COARSE_NAMES else Path(map_.legend)
    return CoarseFile(_file(map_.source, name, home), legend, map_.values)


def _layer(layer: Layer | LayerFile | None, name: str, home: Path) -> LayerFile | None:
    if layer is None or isinstance(layer, LayerFile):
        return layer
    return LayerFile(_file(layer, name, home))


def _truth(truth: Layer | None, home: Path) -> TruthFile | None:
    return None if truth is None else TruthFile(_file(truth, "truth", home))


def _path(path: str | Path, name: str) -> Path:
    """The path of a file or an address."""
    return as_path(path, name) if isinstance(path, str) and is_address(path) else Path(path)


def _file(layer: Layer, name: str, home: Path) -> Path:
    """The file of a layer; an array becomes one."""
    if isinstance(layer, (str, Path)):
        return _path(layer, name)
    if not isinstance(layer, xr.DataArray):
        raise SettingsError(
            found=f"{name} of type {type(layer).__name__}",
            expected="a path, or an xarray.DataArray with CRS and coordinates",
            fix="read it with rioxarray.open_rasterio, or give its path",
        )
    owned = make_owned(home / _INPUTS, "inputs of a scene", beside=True)
    owned.claim(f"{name}.tif")
    path = owned.path / f"{name}.tif"
    write_array(layer, path, name)
    return path


def _known(options: Mapping[str, Any]) -> dict[str, Any]:
    fields = [field.name for field in dataclasses.fields(RasterFiles)]
    old = old_names(RasterFiles)
    options = {old.get(name, name): value for name, value in options.items()}
    for name in options:
        if name not in fields:
            raise SettingsError(
                found=f"unknown option {name!r} of a scene",
                expected="one of " + ", ".join(fields),
                fix=nearest(name, fields),
            )
    return dict(options)
