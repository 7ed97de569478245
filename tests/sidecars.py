"""Inputs whose meaning lies partly in another file: a change of it, by kind, for the laws."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from inputs import ORIGIN, UTM, colours, two_halves, write_tif
from numpy.typing import NDArray

from landcover_pnp.scenes.settings import LayerFile, RasterFiles, TruthFile

SIZE = 64
"""Side of the scene, metres."""


@dataclass(frozen=True)
class Case:
    """A kind of change.

    Attributes:
        lay: Writes what differs from the standard scene into a folder and names the files.
        change: Changes one file there, makes it or removes it.
        named: The file as the run names it; empty where the change is of no account.
        acts: Whether prepared pixels differ after it.
    """

    lay: Callable[[Path], RasterFiles]
    change: Callable[[Path], object]
    named: str
    acts: bool = True


def standard(folder: Path, **other: object) -> RasterFiles:
    """The standard scene: an image and NLCD."""
    write_tif(folder / "image.tif", colours(size=SIZE))
    write_tif(folder / "nlcd.tif", two_halves(41, 24, SIZE))
    return RasterFiles(**{"image": folder / "image.tif", "coarse": folder / "nlcd.tif", **other})


def bare(path: Path, pixels: NDArray[np.uint8], driver: str = "GTiff") -> Path:
    """A raster that does not say where it lies, but in which CRS where the format can."""
    pixels = pixels if pixels.ndim == 3 else pixels[None]
    count, height, width = pixels.shape
    profile = {"count": count, "height": height, "width": width, "dtype": "uint8", "crs": UTM}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver=driver, **profile) as target:
            target.write(pixels)
    Path(f"{path}.aux.xml").unlink(missing_ok=True)
    return path


def world(path: Path, shift_m: float = 0.0) -> None:
    """A world file: pixels of 1 m from the usual corner."""
    x, y = ORIGIN[0] + shift_m + 0.5, ORIGIN[1] - 0.5
    path.write_text("\n".join(map(str, (1.0, 0.0, 0.0, -1.0, x, y))) + "\n")


def knows(path: Path, **more: str) -> None:
    """A .aux.xml that says CRS and further elements of a raster."""
    inner = "".join(f"<{name}>{text}</{name}>" for name, text in more.items())
    Path(f"{path}.aux.xml").write_text(
        f"<PAMDataset><SRS>{rasterio.crs.CRS.from_string(UTM).to_wkt()}</SRS>{inner}</PAMDataset>"
    )


def nodata(path: Path, value: int, bands: int = 1) -> None:
    """A .aux.xml that declares a value as no data."""
    band = "<PAMRasterBand band='{}'><NoDataValue>{}</NoDataValue></PAMRasterBand>"
    text = "".join(band.format(i + 1, value) for i in range(bands))
    Path(f"{path}.aux.xml").write_text(f"<PAMDataset>{text}</PAMDataset>")


def statistics(path: Path) -> None:
    """A .aux.xml as QGIS leaves it after a look at the file."""
    keys = "".join(
        f'      <MDI key="STATISTICS_{name}">{value}</MDI>\n'
        for name, value in {
            "MAXIMUM": 254,
            "MEAN": 115.1,
            "MINIMUM": 1,
            "VALID_PERCENT": 100,
        }.items()
    )
    histogram = "<HistItem><HistMin>0.5</HistMin><HistCounts>3|4</HistCounts></HistItem>"
    Path(f"{path}.aux.xml").write_text(
        '<PAMDataset>\n  <PAMRasterBand band="1">\n'
        f"    <Histograms>\n      {histogram}\n    </Histograms>\n"
        f"    <Metadata>\n{keys}    </Metadata>\n  </PAMRasterBand>\n</PAMDataset>\n"
    )


def mask(path: Path, pixels: NDArray[np.bool_] | None = None) -> None:
    """A mask beside a raster: its upper half, unless told otherwise."""
    there = np.indices((SIZE, SIZE))[0] < SIZE // 2 if pixels is None else pixels
    write_tif(Path(f"{path}.msk"), there.astype(np.uint8) * 255)
    with rasterio.open(f"{path}.msk", "r+") as target:
        target.update_tags(
            **{f"INTERNAL_MASK_FLAGS_{band}": 2 for band in (1, 2, 3)}
        )  # for all bands


def streets(path: Path, width_m: float = 6.0, driver: str | None = None, **more: object) -> Path:
    """A street across the scene, as wide as its attribute says."""
    x, y = ORIGIN
    frame = gpd.GeoDataFrame(
        {"width_m": [width_m], "name": ["Straße"]},
        geometry=[shapely.LineString([(x, y - 20), (x + SIZE, y - 20)])],
        crs=UTM,
    )
    frame.to_file(path, driver=driver, engine="pyogrio", **more)
    return path


def roads(name: str, **more: object) -> Callable[[Path], RasterFiles]:
    """The standard scene with streets of a vector file."""

    def lay(folder: Path) -> RasterFiles:
        return standard(folder, roads=LayerFile(streets(folder / name, **more)))

    return lay


def placed(layer: str, suffix: str, driver: str = "GTiff") -> Callable[[Path], RasterFiles]:
    """The standard scene with an image or NLCD that a world file places."""

    def lay(folder: Path) -> RasterFiles:
        files = standard(folder)
        pixels = colours(size=SIZE) if layer == "image" else two_halves(41, 24, SIZE)
        name = "image.jp2" if driver != "GTiff" else f"{layer}.tif"
        path = bare(folder / name, pixels, driver)
        world(path.with_suffix(suffix))
        return RasterFiles(**{"image": files.image, "coarse": files.coarse, layer: path})

    return lay


def replaced(name: str, by: Callable[[Path], object]) -> Callable[[Path], object]:
    """Takes one part of a vector file from another that is written for it."""

    def change(folder: Path) -> None:
        other = folder / "other"
        other.mkdir()
        by(other)
        (other / name).replace(folder / name)
        for path in other.iterdir():
            path.unlink()
        other.rmdir()

    return change


def rewritten(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def more_bytes(path: Path) -> None:
    path.write_bytes(path.read_bytes() + bytes(8))


WRITER = """
import os, sqlite3, sys
base = sqlite3.connect(sys.argv[1], isolation_level=None)
for name in ("ST_IsEmpty", "ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY"):
    base.create_function(name, 1, lambda shape: 0)
base.execute("pragma journal_mode=wal")
base.execute("update roads set width_m = 20")
os.kill(os.getpid(), 9)
"""
"""Writes to a database and is killed: what it wrote lies beside the database's own file."""


def killed_writer(folder: Path) -> None:
    subprocess.run([sys.executable, "-c", WRITER, str(folder / "roads.gpkg")])
    assert (folder / "roads.gpkg-wal").stat().st_size


def listed(*names: str) -> Callable[[Path], RasterFiles]:
    """Two images that overlap, and a list of them: the first with data wins."""

    def lay(folder: Path) -> RasterFiles:
        files = standard(folder)
        for seed, name in enumerate(("east.tif", "west.tif"), start=1):
            write_tif(folder / name, colours(size=SIZE, seed=seed))
        (folder / "list.txt").write_text("east.tif\nwest.tif\n")
        return RasterFiles(folder / "list.txt", files.coarse)

    return lay


def indexed(folder: Path) -> RasterFiles:
    """The same images by an index that is a shapefile."""
    files = listed()(folder)
    index(folder, "east.tif", "west.tif")
    return RasterFiles(folder / "index.shp", files.coarse)


def index(folder: Path, *names: str) -> None:
    shape = shapely.box(ORIGIN[0], ORIGIN[1] - SIZE, ORIGIN[0] + SIZE, ORIGIN[1])
    frame = gpd.GeoDataFrame({"location": list(names)}, geometry=[shape] * len(names), crs=UTM)
    frame.to_file(folder / "index.shp", engine="pyogrio")


def several(folder: Path) -> RasterFiles:
    """A folder of images."""
    files, images = standard(folder), folder / "images"
    images.mkdir()
    write_tif(images / "a.tif", colours(size=SIZE)[:, :, : SIZE // 2])
    return RasterFiles(images, files.coarse)


def with_truth(folder: Path) -> RasterFiles:
    write_tif(folder / "truth.tif", two_halves(40, 20, SIZE))
    return standard(folder, truth=TruthFile(folder / "truth.tif"))


def with_buildings(folder: Path) -> RasterFiles:
    write_tif(folder / "roofs.tif", two_halves(0, 1, SIZE))
    return standard(folder, buildings=LayerFile(folder / "roofs.tif"))


def with_area(folder: Path) -> RasterFiles:
    area(folder)
    return standard(folder, area=folder / "area.shp")


def area(folder: Path, side_m: float = 40.0) -> None:
    x, y = ORIGIN
    shape = shapely.box(x, y - side_m, x + side_m, y)
    gpd.GeoDataFrame(geometry=[shape], crs=UTM).to_file(folder / "area.shp", engine="pyogrio")


def wrong_overviews(folder: Path) -> None:
    """Overviews of another image: nobody is to look at them."""
    for name in ("image", "nlcd", "roofs"):
        path = folder / f"{name}.tif"
        with rasterio.Env(TIFF_USE_OVR=True), rasterio.open(path, "r+") as target:
            target.build_overviews([2, 4], rasterio.enums.Resampling.nearest)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            with rasterio.open(f"{path}.ovr", "r+") as overview:
                overview.write(255 - overview.read())


JP2 = "JP2OpenJPEG"

CASES: dict[str, Case] = {
    "image .tfw corrected": Case(
        placed("image", ".tfw"), lambda f: world(f / "image.tfw", 8), "image.tfw"
    ),
    "image .wld corrected": Case(
        placed("image", ".wld"), lambda f: world(f / "image.wld", 8), "image.wld"
    ),
    "image .tifw corrected": Case(
        placed("image", ".tifw"), lambda f: world(f / "image.tifw", 8), "image.tifw"
    ),
    "nlcd .tfw corrected": Case(
        placed("coarse", ".tfw"), lambda f: world(f / "coarse.tfw", 8), "coarse.tfw"
    ),
    "jp2 .j2w corrected": Case(
        placed("image", ".j2w", JP2), lambda f: world(f / "image.j2w", 8), "image.j2w"
    ),
    "jp2 mask appears": Case(
        placed("image", ".j2w", JP2), lambda f: mask(f / "image.jp2"), "image.jp2.msk"
    ),
    "image .aux.xml declares no data": Case(
        standard, lambda f: nodata(f / "image.tif", 60, bands=3), "image.tif.aux.xml"
    ),
    "image .aux.xml places it elsewhere": Case(
        standard,
        lambda f: knows(f / "image.tif", GeoTransform=f"{ORIGIN[0] + 8},1,0,{ORIGIN[1]},0,-1"),
        "image.tif.aux.xml",
    ),
    "image mask appears": Case(standard, lambda f: mask(f / "image.tif"), "image.tif.msk"),
    "nlcd .aux.xml declares no data": Case(
        standard, lambda f: nodata(f / "nlcd.tif", 41), "nlcd.tif.aux.xml"
    ),
    "nlcd mask appears": Case(standard, lambda f: mask(f / "nlcd.tif"), "nlcd.tif.msk"),
    "truth .aux.xml declares no data": Case(
        with_truth, lambda f: nodata(f / "truth.tif", 40), "truth.tif.aux.xml"
    ),
    "buildings mask appears": Case(
        with_buildings, lambda f: mask(f / "roofs.tif"), "roofs.tif.msk"
    ),
    "shapefile .dbf replaced": Case(
        roads("roads.shp"),
        replaced("roads.dbf", lambda f: streets(f / "roads.shp", 20)),
        "roads.dbf",
    ),
    "shapefile .prj corrected": Case(
        roads("roads.shp"),
        lambda f: rewritten(f / "roads.prj", "500000.0", "500010.0"),
        "roads.prj",
    ),
    "shapefile .cpg vanishes": Case(
        roads("roads.shp"),
        lambda f: (f / "roads.cpg").unlink(),
        "roads.cpg",
        acts=False,
    ),
    "shapefile .shx replaced": Case(
        roads("roads.shp"),
        replaced(
            "roads.shx",
            lambda f: more_bytes(streets(f / "roads.shp").with_suffix(".shx")),
        ),
        "roads.shx",
        acts=False,
    ),
    "GeoPackage with writes in its -wal": Case(roads("roads.gpkg"), killed_writer, "roads.gpkg"),
    "GeoPackage with a -journal": Case(
        roads("roads.gpkg"),
        lambda f: (f / "roads.gpkg-journal").write_bytes(bytes(512)),
        "roads.gpkg-journal",
        acts=False,
    ),
    "GeoJSON changed": Case(
        roads("roads.geojson"), lambda f: streets(f / "roads.geojson", 20), "roads.geojson"
    ),
    "file geodatabase, a file in it": Case(
        roads("roads.gdb", width_m=6.5, driver="OpenFileGDB"),
        lambda f: streets(f / "roads.gdb", 20.5, driver="OpenFileGDB"),
        "roads.gdb",
    ),
    "area .prj corrected": Case(
        with_area, lambda f: rewritten(f / "area.prj", "500000.0", "500010.0"), "area.prj"
    ),
    "list of images in another order": Case(
        listed(), lambda f: (f / "list.txt").write_text("west.tif\neast.tif\n"), "list.txt"
    ),
    "index of images in another order": Case(
        indexed, lambda f: index(f, "west.tif", "east.tif"), "index.dbf"
    ),
    "one of several images gets a mask": Case(
        listed(), lambda f: mask(f / "east.tif"), "east.tif.msk"
    ),
    "a folder of images gets another": Case(
        several, lambda f: write_tif(f / "images" / "b.tif", colours(size=SIZE)), "b.tif"
    ),
    "statistics of QGIS": Case(standard, lambda f: statistics(f / "image.tif"), "", acts=False),
    "overviews": Case(with_buildings, wrong_overviews, "", acts=False),
    "files that no driver reads": Case(
        roads("roads.shp"),
        lambda f: [
            (f / name).write_text("mine")
            for name in ("image.qml", "image.txt", "roads.qml", "roads.shp.xml", "roads.gpkg-shm")
        ],
        "",
        acts=False,
    ),
}
"""Every kind by its name."""
