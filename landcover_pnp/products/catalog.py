"""STAC 1.1: an item for each published run, a static collection of them, an item for a prior.

Written by pystac; every link and address is relative, so the folders can be moved.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pystac import Asset, Collection, Extent, Item, Link, MediaType, RelType, SpatialExtent
from pystac.errors import STACError, STACTypeError
from pystac.extensions.classification import ClassificationExtension
from pystac.extensions.projection import ProjectionExtension

from landcover_pnp.config.texts import require_text
from landcover_pnp.errors import RasterError, SettingsError
from landcover_pnp.legend import NO_DATA, Legend
from landcover_pnp.products.finished import FinishedRun
from landcover_pnp.products.footprint import Degrees, outline, together
from landcover_pnp.products.ground import GROUND, TITLE
from landcover_pnp.products.model import write_prior_item
from landcover_pnp.products.rasters import ERRORS, extras_of, products_of
from landcover_pnp.products.stac import add_file, described_classes, relative, slug, write_stac
from landcover_pnp.products.under_trees import GROUND_STEM, ground_product
from landcover_pnp.storage.owned_folder import make_owned
from landcover_pnp.storage.raster import open_raster
from landcover_pnp.storage.run_folder import FILLED
from landcover_pnp.version import __version__

ITEM = "item.json"
"""Name of the item in a folder of products."""

COLLECTION = "collection.json"
"""Name of the collection over all runs of a folder."""

PRIOR_ITEM = "prior-item.json"
"""Name of the prior's item beside the collection."""

PROCESSING = "https://stac-extensions.github.io/processing/v1.1.0/schema.json"
RASTER = "https://stac-extensions.github.io/raster/v2.0.0/schema.json"
"""Extensions that pystac does not have, or only in the form of STAC 1.0."""

_MEDIA_TYPES = {
    ".tif": MediaType.COG,
    ".gpkg": MediaType.GEOPACKAGE,
    ".html": MediaType.HTML,
    ".qml": MediaType.XML,
    ".qlr": MediaType.XML,
    ".qgz": "application/zip",
    ".parquet": MediaType.PARQUET,
    ".pmtiles": "application/vnd.pmtiles",
}
_OF_DAMAGED = (
    ArithmeticError,
    AttributeError,
    LookupError,
    STACError,
    STACTypeError,
    TypeError,
    ValueError,
)
"""What reading an item from JSON of another form ends in."""

_ROLES = {
    ".tif": "data",
    ".gpkg": "data",
    ".parquet": "data",
    ".pmtiles": "visual",
    ".html": "overview",
}


@dataclass(frozen=True)
class CatalogSummary:
    """What a catalogue holds.

    Attributes:
        collection: The collection's file.
        items: Number of published runs in it.
        schemas: Addresses of the extensions' schemas by which all was found valid, where that was
            asked for.
    """

    collection: Path
    items: int
    schemas: tuple[str, ...] = ()


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
    geometry, bbox = outline(run.bounds(run.scene.extent), run.crs)
    # Several runs of a collection may have one title.
    name = [slug(title), run.provenance.get("LANDCOVER_INGREDIENTS", "")[:8]]
    finished = run.finished.replace(microsecond=0)
    lineage = f"{run.summary['command']}; the image's own date is not known, this is the map's"
    item = Item(
        id="-".join(name).strip("-"),
        geometry=geometry,
        bbox=list(bbox),
        datetime=finished,
        properties={
            "title": title,
            "processing:software": {"landcover-pnp": __version__},
            "processing:lineage": lineage,
            "landcover:legend": run.legend.name,
            **({"attribution": "; ".join(run.attribution)} if run.attribution else {}),
            **{
                key.lower().replace("_", ":", 1): value
                for key, value in run.provenance.items()
                if key.startswith("LANDCOVER_")
            },
        },
        stac_extensions=[PROCESSING, RASTER],
    )
    item.common_metadata.created = finished
    ProjectionExtension.ext(item, add_if_missing=True).apply(
        code=f"EPSG:{run.crs.epsg}" if run.crs.epsg else None,
        wkt2=run.crs.proj.to_wkt(),
        bbox=list(run.bounds(run.scene.extent)),
    )
    for path in sorted(folder.iterdir()):
        if path.suffix in _MEDIA_TYPES:
            _add_asset(item, path, run)
    return write_stac(item, folder / ITEM)


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
    collection = Collection(
        id=slug(title),
        title=title,
        description=f"{len(items)} land-cover maps made by landcover-pnp {__version__}.",
        license="other",
        extent=Extent(
            SpatialExtent([list(together(_bbox(item) for item in items))]),
            Extent.from_items(items).temporal,
        ),
    )
    collection.remove_links(RelType.ROOT)
    listed = [(str(item.common_metadata.title), p) for item, p in zip(items, paths, strict=True)]
    own = [COLLECTION] if prior is None else [COLLECTION, PRIOR_ITEM]
    make_owned(folder, "catalogue", *own, beside=True)
    if prior is not None:
        listed.append(("prior", write_prior_item(prior, folder / PRIOR_ITEM)))
    for name, path in listed:
        collection.add_link(Link(RelType.ITEM, relative(path, folder), MediaType.GEOJSON, name))
    return CatalogSummary(write_stac(collection, folder / COLLECTION), len(items))


def _read_item(path: Path) -> Item:
    """An item that ``write_item`` wrote: what a collection says of it is sound."""
    try:
        item = Item.from_dict(json.loads(path.read_text(encoding="utf-8")), migrate=False)
        require_text("its title", item.properties["title"])
        left, bottom, right, top = _bbox(item)
        east_of_west = left <= right or left > 0 > right  # across the antimeridian
        inside = max(abs(left), abs(right)) <= 180 and -90 <= bottom <= top <= 90
        if not (inside and east_of_west):
            raise ValueError(f"its bbox {item.bbox} lies not on the earth")
        if item.datetime is None:
            raise ValueError("it has no datetime")
    except (*_OF_DAMAGED, SettingsError) as error:
        reason = error.found if isinstance(error, SettingsError) else error
        raise RasterError(
            found=f"{path} is damaged: {reason}",
            expected="a STAC item as `landcover publish` writes it",
            fix="publish this run again",
        ) from error
    return item


def _bbox(item: Item) -> Degrees:
    west, south, east, north = map(float, item.bbox or ())
    return west, south, east, north


def _add_asset(item: Item, path: Path, run: FinishedRun) -> None:
    asset = Asset(
        f"./{path.name}",
        media_type=_MEDIA_TYPES[path.suffix],
        roles=[_ROLES.get(path.suffix, "metadata")],
    )
    add_file(item, path.stem if path.suffix == ".tif" else path.name, path, asset)
    if path.suffix == ".tif":
        _describe_raster(asset, path, run)


def _describe_raster(asset: Asset, path: Path, run: FinishedRun) -> None:
    products = products_of(run.legend.legend) | extras_of(run.legend.legend)
    products[GROUND_STEM] = ground_product(run.palette)
    titles = {FILLED: TITLE.lower(), **{stem: p.title for stem, p in products.items()}}
    asset.title = titles.get(path.stem, path.stem)
    with open_raster(path, "product") as source:
        # Of each raster its own: a student's map is finer than image and baselines.
        projection = ProjectionExtension.ext(asset)
        projection.shape = list(source.shape)
        projection.transform = list(source.transform)[:6]
        asset.extra_fields["bands"] = [
            {
                "name": name or f"band {number}",
                "data_type": dtype,
                "raster:spatial_resolution": abs(source.res[0]),
                **({} if source.nodata is None else {"nodata": source.nodata}),
                **({} if scale == 1 else {"raster:scale": scale}),
            }
            for number, (name, dtype, scale) in enumerate(
                zip(source.descriptions, source.dtypes, source.scales, strict=True), start=1
            )
        ]
    legends: Mapping[str, Legend | None] = {
        "truth": run.truth_legend.legend,
        "errors": ERRORS,
        FILLED: GROUND,
        **{stem: product.band.legend for stem, product in products.items()},
    }
    legend = legends.get(path.stem)
    if legend is not None:
        colours = [(0, 0, 0), *(c.colour for c in legend.classes)]
        known = ClassificationExtension.ext(asset, add_if_missing=True)
        named = ["no data", *legend.names]
        known.apply(described_classes(named, colours, [NO_DATA, *legend.codes]))
