"""The EnviroAtlas data set's folders (Zenodo record 5778193), and synthetic cities laid out so."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from landcover_pnp.errors import RasterError, SettingsError, nearest
from landcover_pnp.grid import BLOCK_PX, Box
from landcover_pnp.legends.coarse_legend import CoarseLegend, CoarseValues
from landcover_pnp.scenes.settings import (
    EnviroAtlasTile,
    LayerFile,
    RasterFiles,
    SceneSettings,
    TruthFile,
)
from landcover_pnp.storage.raster import open_raster, read_labels

_IMAGE = "_a_naip.tif"


def list_tiles(root: Path, city: str, split: str) -> list[str]:
    """Names of a city's tiles in one split, in alphabetical order.

    Args:
        root: Folder of the data set.
        city: City, such as ``pittsburgh_pa-2010_1m``.
        split: ``train``, ``val``, ``val5`` or ``test``.

    Raises:
        RasterError: If the folder or its tiles are missing; names the cities there.
    """
    if root.is_file():
        raise RasterError(
            found=f"{root} is a file",
            expected="the folder that the data set was unpacked to",
            fix="unpack it: `landcover fetch enviroatlas --archive ARCHIVE --out FOLDER`",
        )
    folder = root / f"{city}-{split}_tiles-debuffered"
    names = sorted(path.name.removesuffix(_IMAGE) for path in folder.glob(f"*{_IMAGE}"))
    if not names:
        there = ", ".join(sorted(p.name for p in root.glob("*_tiles-debuffered")))
        raise RasterError(
            found=f"no tiles *{_IMAGE} in {folder}; the root holds: {there or 'nothing'}",
            expected="the data set's folders <city>-<split>_tiles-debuffered",
            fix="fetch it with `landcover fetch enviroatlas`, and set root to the folder "
            "enviroatlas_lotp",
        )
    return names


def tile_files(tile: EnviroAtlasTile) -> RasterFiles:
    """The files of one tile as a scene's files.

    Args:
        tile: Root, city, split and name.

    Returns:
        Image, NLCD (indices), roads, buildings, water and truth where it exists.

    Raises:
        SettingsError: If the name is missing or unknown.
        RasterError: As ``list_tiles``.
    """
    names = list_tiles(tile.root, tile.city, tile.split)
    name = tile.tile if tile.tile is not None or len(names) > 1 else names[0]
    if name not in names:
        raise SettingsError(
            found=f"tile {name!r} of {tile.city}, split {tile.split}",
            expected="one of " + ", ".join(names),
            fix=nearest(name, names) if name else "name the tile: one scene is one tile",
        )
    stem = tile.root / f"{tile.city}-{tile.split}_tiles-debuffered" / f"{name}_"

    def path(layer: str) -> Path:
        return stem.with_name(f"{name}_{layer}.tif")

    truth = path("h_highres_labels")
    return RasterFiles(
        image=path("a_naip"),
        coarse=path("b_nlcd"),
        roads=LayerFile(path("c_roads")),
        buildings=LayerFile(path("e_buildings")),
        water=LayerFile(path("d_water")),
        truth=TruthFile(truth, "enviroatlas") if truth.exists() else None,
        coarse_values=_nlcd_values(path("b_nlcd")),
    )


def _nlcd_values(path: Path) -> CoarseValues | None:
    """Indices, as the data set has them; None where the middle shows that these are codes."""
    with suppress(RasterError), open_raster(path, "NLCD") as source:
        y, x = source.height // 2, source.width // 2
        middle = Box(y, y, x, x).grow(BLOCK_PX // 2).clip(Box(0, source.height, 0, source.width))
        if read_labels(source, middle).max() > len(CoarseLegend.load("nlcd").classes):
            return None
    return "indices"


def scene_files(scene: SceneSettings) -> RasterFiles:
    """The files of a scene, whichever source it names.

    Raises:
        SettingsError: If it names no source or two.
        RasterError: As ``tile_files``.
    """
    if scene.rasters is not None and scene.enviroatlas is None:
        return scene.rasters
    if scene.enviroatlas is not None and scene.rasters is None:
        return tile_files(scene.enviroatlas)
    raise SettingsError(
        found="a scene with " + ("no source" if scene.rasters is None else "two sources"),
        expected="exactly one of scene.rasters and scene.enviroatlas",
        fix="name the scene's files in the configuration",
    )
