"""The files that count as parts of an input are those that drivers open: the kernel tells."""

import ctypes
import os
import struct
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import rasterio
from inputs import colours, write_tif
from sidecars import SIZE, bare, mask, streets, world

from landcover_pnp.errors import LandcoverError
from landcover_pnp.grid import Box
from landcover_pnp.scenes.vector_files import layers_of_shapes, read_layer, vector_layers
from landcover_pnp.storage.raster import open_raster, read, read_mask
from landcover_pnp.storage.sidecars import parts

ENDINGS = (
    *(".tab", ".TAB", ".aux", ".rrd", ".xml"),
    *(".prj", ".qpj", ".cpg", ".dbf", ".shx", ".shp", ".qix", ".sbn", ".sbx", ".idm", ".ind"),
    *(".cst", ".dat", ".map", ".id", ".mid", ".mif", ".gfs", ".xsd", ".resolved.gml", ".csvt"),
    *(".clr", ".hdr", ".rpb", ".RPB", ".imd", ".IMD", ".pvl", ".points", ".ers", ".vrt", ".json"),
    *(".qml", ".sld", ".txt", ".lyr", ".geo", ".ntf", ".dim", "_rpc.txt", "_RPC.TXT", "_meta.xml"),
)
"""What may stand in place of an input's own ending."""

WORLD = (".tfw", ".tifw", ".wld", ".j2w", ".jp2w", ".jgw", ".tfwx", ".TFW")
"""Names of world files."""

ADDED = (".aux.xml", ".aux", ".AUX", ".xml", ".ovr.aux.xml", ".msk.aux.xml", ".vrt", ".qmd")
"""What may be added to an input's name."""

LISTED = "counts where GDAL lists it: an empty one is none"

OTHERWISE = {
    ".ovr": "overviews: nothing is read of them, see test_fresh_inputs",
    ".xml": "where a satellite's metadata would lie of the mask or the overviews",
    ".aux": LISTED,
    ".AUX": LISTED,
    ".TAB": LISTED,
    ".tab": LISTED,
}
"""Why a file that is opened is no part."""

OPEN = 0x20
"""inotify's event of a file that is opened."""


@contextmanager
def opened_in(folder: Path) -> Iterator[set[str]]:
    """Names of the files in a folder that this process opens."""
    names: set[str] = set()
    libc = ctypes.CDLL(None)
    watch = libc.inotify_init1(os.O_NONBLOCK)
    assert libc.inotify_add_watch(watch, bytes(folder), OPEN) > 0
    try:
        yield names
        with suppress(BlockingIOError):
            while events := os.read(watch, 1 << 16):
                while events:
                    (length,) = struct.unpack_from("12xI", events)
                    names.add(events[16 : 16 + length].rstrip(b"\0").decode())
                    events = events[16 + length :]
        names.discard("")  # the folder itself
    finally:
        os.close(watch)


def look(path: Path) -> None:
    """Opens and reads an input as the package does; what is damaged is opened all the same."""
    with suppress(LandcoverError), open_raster(path, "input") as source:
        whole = Box(0, source.height, 0, source.width)
        read(source, source.indexes, whole)
        read_mask(source, whole)
        return
    with suppress(LandcoverError):
        if vector_layers(path):
            read_layer(path, layers_of_shapes(path, "input")[0], "input")


def bare_jp2(path: Path) -> Path:
    return bare(path, colours(size=SIZE), "JP2OpenJPEG")


def vectors(driver: str, **more: object) -> Callable[[Path], Path]:
    return lambda path: streets(path, 6.5, driver=driver, **more)


INPUTS: dict[str, Callable[[Path], Path]] = {
    "placed.tif": lambda path: write_tif(path, colours(size=SIZE)),
    "bare.tif": lambda path: bare(path, colours(size=SIZE)),
    "bare.jp2": bare_jp2,
    "roads.shp": vectors("ESRI Shapefile"),
    "roads.gpkg": vectors("GPKG"),
    "roads.geojson": vectors("GeoJSON"),
    "roads.fgb": vectors("FlatGeobuf"),
    "roads.kml": vectors("KML"),
    "roads.sqlite": vectors("SQLite"),
}


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
@pytest.mark.parametrize("name", INPUTS)
def test_what_a_driver_opens_is_a_part_of_the_input(name: str, tmp_path: Path) -> None:
    path = INPUTS[name](tmp_path / name)
    for ending in ENDINGS:
        (tmp_path / (path.stem + ending)).touch()
    if name.endswith(("tif", "jp2")):
        mask(path, np.tri(SIZE, dtype=bool))
        write_tif(Path(f"{path}.ovr"), colours(size=SIZE // 2))
    for ending in WORLD:
        world(tmp_path / (path.stem + ending))
    for ending in ADDED:
        (tmp_path / (path.name + ending)).touch()
    with warnings.catch_warnings(), opened_in(tmp_path) as names:
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        look(path)
    known = {part.name for part in parts(path)}
    others = {other: OTHERWISE.get(Path(other).suffix) for other in names - known}
    sys.stdout.write(f"{', '.join(sorted(names & known))}; not {', '.join(sorted(others))}\n")
    assert path.name in names
    assert None not in others.values(), others
