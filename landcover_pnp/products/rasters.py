"""The rasters of a map: classes, confidence and entropy as cloud-optimised GeoTIFFs with styles."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.io import DatasetReader

from landcover_pnp.grid import Box, blocks
from landcover_pnp.legend import NO_DATA, WORKING, LandClass, Legend
from landcover_pnp.products.result_classes import ResultClasses
from landcover_pnp.products.styles import ClassStyle, Colour, RampStyle, Style, qml
from landcover_pnp.storage.atomic import scratch, write_text
from landcover_pnp.storage.geotiff import Band, write_cog, write_raster
from landcover_pnp.storage.map_legend import legend_tags
from landcover_pnp.storage.raster import open_raster, read
from landcover_pnp.storage.records import Ingredients, fingerprint
from landcover_pnp.storage.run_folder import DOUBT
from landcover_pnp.version import __version__

PERCENT_NO_DATA = 255
"""Value of no data in the confidence and entropy rasters, whose data is 0 to 100."""

_WORKING_CLASSES = ResultClasses()

SOFTWARE = {"TIFFTAG_SOFTWARE": f"landcover-pnp {__version__}"}


def classes(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Number of the most probable class, from 1: (class, y, x) -> (y, x) uint8, 0 where all are 0.

    Numbers of the working classes are their codes.
    """
    best = probabilities.argmax(axis=0).astype(np.uint8) + np.uint8(1)
    return np.where(probabilities.any(axis=0), best, np.uint8(NO_DATA))


def confidence(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Largest probability in percent: (class, y, x) -> (y, x) uint8, 255 = no data."""
    percent = np.rint(100 * probabilities.max(axis=0)).astype(np.uint8)
    return np.where(probabilities.any(axis=0), percent, np.uint8(PERCENT_NO_DATA))


def entropy(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Entropy in percent of that of a uniform distribution.

    Args:
        probabilities: (class, y, x) float32, sums to 1; at least two classes.

    Returns:
        (y, x) uint8, 0 = certain, 100 = knows nothing, 255 = no data.
    """
    logs = np.log(probabilities, where=probabilities > 0, out=np.zeros_like(probabilities))
    nats = -(probabilities * logs).sum(axis=0)
    percent = np.rint(100 * nats / np.log(len(probabilities))).astype(np.uint8)
    return np.where(probabilities.any(axis=0), percent, np.uint8(PERCENT_NO_DATA))


def second_class(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Number of the second most probable class: (class, y, x) -> (y, x) uint8, 0 for none."""
    first = probabilities.argmax(axis=0)
    others = np.where(np.arange(len(probabilities))[:, None, None] == first, 0, probabilities)
    return classes(np.asarray(others, np.float32))


def first_band(stored: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The first of several bands: (band, y, x) -> (y, x)."""
    return np.asarray(stored[0])


def percentages(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Probabilities in percent: (class, y, x) -> (class, y, x) uint8, 255 = no data."""
    percent = np.rint(100 * probabilities).astype(np.uint8)
    return np.where(probabilities.any(axis=0), percent, np.uint8(PERCENT_NO_DATA))


@dataclass(frozen=True)
class Product:
    """A raster made of a run's probabilities.

    Attributes:
        title: Name of the layer.
        method: Whose probabilities, see ``tiles.METHODS``.
        function: Probabilities (class, y, x) of the map's legend -> pixels (y, x) or
            (band, y, x).
        band: Format of the file.
        overviews: GDAL's rule for overviews; ``mode`` never invents a class.
        style: How QGIS draws it.
        decoded: Whether the function is given probabilities; else it is given the stored pixels.
    """

    title: str
    method: str
    function: Callable[[NDArray[Any]], NDArray[np.uint8]]
    band: Band
    overviews: Literal["mode", "average"]
    style: Style
    decoded: bool = True


def class_product(
    title: str,
    method: str,
    function: Callable[[NDArray[np.float32]], NDArray[np.uint8]] = classes,
    legend: Legend = WORKING,
) -> Product:
    """A raster of classes.

    Args:
        title: Name of the layer.
        method: Whose probabilities.
        function: Gives numbers of classes from 1.
        legend: Legend of the map.
    """
    band = Band("uint8", (title,), nodata=NO_DATA, legend=legend)

    def coded(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
        return legend.coded(function(probabilities))

    return Product(title, method, coded, band, "mode", ClassStyle(legend))


CERTAINTY: tuple[Colour, ...] = (
    (68, 1, 84),
    (59, 82, 139),
    (33, 145, 140),
    (94, 201, 98),
    (253, 231, 37),
)
"""Viridis in five stops: dark is doubtful, bright is certain."""

CONFIDENCE_RAMP = RampStyle(tuple(zip((20, 40, 60, 80, 100), CERTAINTY, strict=True)))

DOUBT_RAMP = RampStyle(
    ((0, (255, 255, 255)), (25, (254, 217, 142)), (50, (254, 153, 41)), (100, (153, 0, 13)))
)
"""Pale is agreed on, dark red is contradicted; doubtful ground begins in the middle."""


def products_of(legend: Legend) -> dict[str, Product]:
    """The rasters of every run whose map has a legend, by the stem of their files."""
    return {
        "landcover": class_product("land cover", "map", legend=legend),
        "confidence": Product(
            "confidence",
            "map",
            confidence,
            Band("uint8", ("largest class probability, percent",), nodata=PERCENT_NO_DATA),
            "average",
            CONFIDENCE_RAMP,
        ),
        "entropy": Product(
            "entropy",
            "map",
            entropy,
            Band("uint8", ("entropy, percent of its maximum",), nodata=PERCENT_NO_DATA),
            "average",
            RampStyle(tuple(zip((0, 25, 50, 75, 100), CERTAINTY[::-1], strict=True))),
        ),
        DOUBT: Product(
            "doubt: sources that contradict each other",
            DOUBT,
            first_band,
            Band("uint8", ("doubt, percent",), nodata=PERCENT_NO_DATA),
            "average",
            DOUBT_RAMP,
            decoded=False,
        ),
        "evidence": class_product("evidence alone", "evidence", legend=legend),
        "weak_labels": class_product("weak labels alone", "weak_labels", legend=legend),
    }


def extras_of(legend: Legend) -> dict[str, Product]:
    """Rasters made on request, by the stem of their files."""
    return {
        "second_class": class_product("second best class", "map", second_class, legend),
        "probabilities": Product(
            "class probabilities",
            "map",
            percentages,
            Band("uint8", legend.names, nodata=PERCENT_NO_DATA, scale=0.01),
            "average",
            RampStyle(((0, (255, 255, 255)), (1, (0, 68, 27))), unit=""),  # of scaled values
        ),
    }


PRODUCTS = products_of(WORKING)
"""The rasters of a run in the working classes; those of another legend have the same names."""

EXTRAS = extras_of(WORKING)
"""The same of those made on request."""


def drawn_by(products: Mapping[str, Product], student: bool) -> dict[str, Product]:
    """Products of a run: where it has a student, the map is the student's."""
    method = "student" if student else "map"
    return {
        stem: dataclasses.replace(p, method=method) if p.method == "map" else p
        for stem, p in products.items()
    }


ERRORS = Legend(
    "errors",
    (
        LandClass(1, "same class as the truth", (222, 235, 222)),
        LandClass(2, "other class than the truth", (202, 0, 32)),
    ),
)
"""Where a map agrees with its truth."""


def provenance_tags(made_of: Ingredients) -> dict[str, str]:
    """What a map depends on, as metadata of its files.

    Args:
        made_of: Ingredients that all tiles of the run share.

    Returns:
        Hashes of all ingredients, of the prior and of the inputs; nothing that differs between
        two runs with the same result, such as the date.
    """
    return {
        "LANDCOVER_INGREDIENTS": fingerprint(made_of),
        "LANDCOVER_INPUTS": str(made_of["scene"]),
        "LANDCOVER_PRIOR": str(made_of["prior"] or "none"),
        "LANDCOVER_ENGINE": str(made_of["inference.engine"]),
    }


def write_products(
    probabilities: Path,
    out: Path,
    tags: Mapping[str, str] | None = None,
    products: Mapping[str, Product] = PRODUCTS,
    result: ResultClasses = _WORKING_CLASSES,
) -> list[Path]:
    """Writes the map's GeoTIFFs from the blended probabilities, each with its QGIS style.

    Args:
        probabilities: Folder with one file a method, from ``blend_tiles``.
        out: Folder of the products.
        tags: Where the map comes from, for the files' metadata.
        products: Products by stem.
        result: The legend of the map, which is that of the products.

    Returns:
        Paths of the cloud-optimised GeoTIFFs in the order of ``products``.

    Raises:
        RunError: If a file cannot be written; older products stay as they were.
    """
    written = []
    told = {**SOFTWARE, **legend_tags(result.legend), **(tags or {})}
    for stem, product in products.items():
        path = out / f"{stem}.tif"
        band = dataclasses.replace(product.band, tags=told)
        with scratch(path) as plain:
            with open_raster(probabilities / f"{product.method}.tif", product.method) as source:
                pixels = _pixels(source, product, result)
                write_raster(plain, GeoBox.from_rio(source), band, pixels)
            write_cog(path, plain, product.overviews)
        write_text(path.with_suffix(".qml"), qml(product.style))
        written.append(path)
    return written


def _pixels(
    source: DatasetReader, product: Product, result: ResultClasses
) -> Iterator[tuple[Box, NDArray[np.uint8]]]:
    def stored(box: Box) -> NDArray[Any]:
        return np.asarray(read(source, source.indexes, box))

    reading = result.probabilities(source) if product.decoded else nullcontext(stored)
    with reading as window:
        for box in blocks(Box(0, source.height, 0, source.width)):
            yield box, product.function(window(box)).reshape(-1, *box.shape)
