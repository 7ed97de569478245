"""STAC 1.1: an item for each published run, a static collection of them, an item for a prior.

Written as plain JSON; every link and address is relative, so the folders can be moved.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rasterio.crs import CRS
from rasterio.warp import transform_geom

from landcover_pnp.errors import RasterError, SettingsError
from landcover_pnp.legend import WORKING, Legend
from landcover_pnp.products.finished import FinishedRun
from landcover_pnp.products.model import write_prior_item
from landcover_pnp.products.rasters import ERRORS, EXTRAS, PRODUCTS
from landcover_pnp.products.stac import (
    VERSION,
    described_classes,
    described_file,
    extensions,
    relative,
    slug,
)
from landcover_pnp.storage.owned_folder import make_owned
from landcover_pnp.storage.raster import open_raster
from landcover_pnp.storage.records import write_json
from landcover_pnp.texts import require_text
from landcover_pnp.version import __version__

ITEM = "item.json"
"""Name of the item in a folder of products."""

COLLECTION = "collection.json"
"""Name of the collection over all runs of a folder."""

PRIOR_ITEM = "prior-item.json"
"""Name of the prior's item beside the collection."""

_COG = "image/tiff; application=geotiff; profile=cloud-optimized"
_MEDIA_TYPES = {
    ".tif": _COG,
    ".gpkg": "application/geopackage+sqlite3",
    ".html": "text/html",
    ".qml": "application/xml",
    ".qlr": "application/xml",
    ".qgz": "application/zip",
}
_ROLES = {".tif": "data", ".gpkg": "data", ".html": "overview"}


@dataclass(frozen=True)
class CatalogSummary:
    """What a catalogue holds.

    Attributes:
        collection: The collection's file.
        items: Number of published runs in it.
    """

    collection: Path
    items: int


def write_item(run: FinishedRun, folder: Path, title: str) -> Path:
    """Writes the STAC item of a folder of products: geometry, provenance, every file.

    Extensions: classification, file, processing, projection, raster.

    Args:
        run: The run.
        folder: Its products; every file in it becomes an asset.
        title: Title of the item.

    Returns:
        The file.
    """
    geometry = _outline(run)
    longitudes, latitudes = zip(*geometry["coordinates"][0], strict=True)
    finished = run.finished.strftime("%Y-%m-%dT%H:%M:%SZ")
    code = f"EPSG:{run.crs.epsg}" if run.crs.epsg else None
    lineage = f"{run.summary['command']}; the image's own date is not known, this is the map's"
    item = {
        "type": "Feature",
        "stac_version": VERSION,
        "stac_extensions": extensions(
            "classification/v2.0.0",
            "file/v2.1.0",
            "processing/v1.1.0",
            "projection/v2.0.0",
            "raster/v2.0.0",
        ),
        # Several runs of a collection may have one title.
        "id": "-".join([slug(title), run.provenance.get("LANDCOVER_INGREDIENTS", "")[:8]]).strip(
            "-"
        ),
        "geometry": geometry,
        "bbox": [min(longitudes), min(latitudes), max(longitudes), max(latitudes)],
        "properties": {
            "title": title,
            "datetime": finished,
            "created": finished,
            "proj:code": code,
            "proj:wkt2": run.crs.proj.to_wkt(),
            "proj:bbox": list(run.bounds(run.scene.extent)),
            "processing:software": {"landcover-pnp": __version__},
            "processing:lineage": lineage,
            **{
                key.lower().replace("_", ":", 1): v
                for key, v in run.provenance.items()
                if key.startswith("LANDCOVER_")
            },
        },
        "links": [],
        "assets": {
            path.stem if path.suffix == ".tif" else path.name: _asset(path)
            for path in sorted(folder.iterdir())
            if path.suffix in _MEDIA_TYPES
        },
    }
    write_json(folder / ITEM, item)
    return folder / ITEM


def _outline(run: FinishedRun) -> dict[str, Any]:
    """The map's extent as a polygon in longitudes and latitudes, GeoJSON."""
    left, bottom, right, top = run.bounds(run.scene.extent)
    ring = [(left, bottom), (right, bottom), (right, top), (left, top), (left, bottom)]
    outline = {"type": "Polygon", "coordinates": [ring]}
    there, here = CRS.from_user_input(str(run.crs)), CRS.from_epsg(4326)
    polygon: dict[str, Any] = transform_geom(there, here, outline, precision=7)
    return polygon


def write_collection(folder: Path, title: str, prior: Path | None = None) -> CatalogSummary:
    """Writes ``collection.json`` over all published runs under a folder.

    Args:
        folder: Folder that holds run folders, at any depth.
        title: Title of the collection.
        prior: Folder of the prior the maps were made with, to be listed too.

    Returns:
        Where it lies and how many runs it lists.

    Raises:
        RasterError: If no run under the folder has been published, or an item is damaged.
        PriorError: If the prior cannot be opened.
    """
    paths = sorted(path for path in folder.glob(f"**/products/{ITEM}") if path.is_file())
    if not paths:
        raise RasterError(
            found=f"no published run under {folder}",
            expected="run folders with products",
            fix="run `landcover publish RUN` for each of them first",
        )
    items = [_read_item(path) for path in paths]
    boxes = list(zip(*(item.bbox for item in items), strict=True))
    times = sorted(item.datetime for item in items)
    listed = [(item.title, path) for item, path in zip(items, paths, strict=True)]
    own = [COLLECTION] if prior is None else [COLLECTION, PRIOR_ITEM]
    make_owned(folder, "catalogue", *own, beside=True)
    if prior is not None:
        listed.append(("prior", write_prior_item(prior, folder / PRIOR_ITEM)))
    links = [
        {
            "rel": "item",
            "href": relative(path, folder),
            "type": "application/geo+json",
            "title": title,
        }
        for title, path in listed
    ]
    collection = {
        "type": "Collection",
        "stac_version": VERSION,
        "stac_extensions": [],
        "id": slug(title),
        "title": title,
        "description": f"{len(items)} land-cover maps made by landcover-pnp {__version__}.",
        "license": "other",
        "extent": {
            "spatial": {"bbox": [[min(boxes[0]), min(boxes[1]), max(boxes[2]), max(boxes[3])]]},
            "temporal": {"interval": [[times[0], times[-1]]]},
        },
        "links": links,
    }
    write_json(folder / COLLECTION, collection)
    return CatalogSummary(folder / COLLECTION, len(items))


class _Item(NamedTuple):
    """What the collection says of an item."""

    title: str
    datetime: str
    bbox: tuple[float, float, float, float]


def _read_item(path: Path) -> _Item:
    """An item that ``write_item`` wrote."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        properties = content["properties"]
        require_text("its title", properties["title"])
        left, bottom, right, top = map(float, content["bbox"])
        return _Item(properties["title"], properties["datetime"], (left, bottom, right, top))
    except (ValueError, KeyError, TypeError, SettingsError) as error:
        reason = error.found if isinstance(error, SettingsError) else error
        raise RasterError(
            found=f"{path} is damaged: {reason}",
            expected="a STAC item as `landcover publish` writes it",
            fix="publish this run again",
        ) from error


def _asset(path: Path) -> dict[str, Any]:
    asset: dict[str, Any] = {
        "href": f"./{path.name}",
        "type": _MEDIA_TYPES[path.suffix],
        "roles": [_ROLES.get(path.suffix, "metadata")],
        **described_file(path),
    }
    if path.suffix == ".tif":
        products = {**PRODUCTS, **EXTRAS}
        titles = {stem: product.title for stem, product in products.items()}
        asset["title"] = titles.get(path.stem, path.stem)
        with open_raster(path, "product") as source:
            # Of each raster its own: a student's map is finer than image and baselines.
            asset["proj:shape"] = list(source.shape)
            asset["proj:transform"] = list(source.transform)[:6]
            asset["bands"] = [
                {
                    "name": name or f"band {number}",
                    "data_type": dtype,
                    "raster:spatial_resolution": abs(source.res[0]),
                    **({} if source.nodata is None else {"nodata": source.nodata}),
                }
                for number, (name, dtype) in enumerate(
                    zip(source.descriptions, source.dtypes, strict=True), start=1
                )
            ]
        legends: Mapping[str, Legend | None] = {
            "truth": WORKING,
            "errors": ERRORS,
            **{k: p.band.legend for k, p in products.items()},
        }
        legend = legends.get(path.stem)
        if legend is not None:
            colours = [(0, 0, 0), *(c.colour for c in legend.classes)]
            asset["classification:classes"] = described_classes(["no data", *legend.names], colours)
    return asset
