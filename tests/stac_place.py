"""A drawn place: a static STAC catalogue, a coarse map and an OpenStreetMap extract on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import osmium
import rasterio
import rasterio.shutil
import shapely
from inputs import colours, write_tif
from osmium.osm.mutable import Node, Way
from rasterio.warp import transform_bounds, transform_geom

CRS = "EPSG:26917"
LEFT, TOP = 688_000.0, 3_984_000.0
"""Upper left corner, in Durham, North Carolina."""

BANDS = [{"name": name} for name in ("Red", "Green", "Blue", "NIR")]

SIDE = 160
"""Side of an image, metres and pixels."""


def degrees(x0: float, y0: float, x1: float, y1: float, crs: str = CRS) -> list[float]:
    """West, south, east and north of a box of metres from the corner, x to the east, y south."""
    return list(transform_bounds(crs, "EPSG:4326", LEFT + x0, TOP - y1, LEFT + x1, TOP - y0))


def bbox(x0: float, y0: float, x1: float, y1: float) -> str:
    """The same as the command line takes it."""
    return ",".join(f"{value:.7f}" for value in degrees(x0, y0, x1, y1))


def write_cog(path: Path, pixels: Any, **where: Any) -> Path:
    """A cloud-optimised GeoTIFF whose blocks are small, so that parts of it can be read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = write_tif(path.with_suffix(".plain.tif"), pixels, **where)
    rasterio.shutil.copy(plain, path, driver="COG", blocksize=128, compress="DEFLATE")
    plain.unlink()
    return path


def item(path: Path, asset: str, file: str, date: str, **more: Any) -> dict[str, Any]:
    """A STAC item of a raster, its footprint as the file says it."""
    with rasterio.open(path.parent / file) as source:
        outline = shapely.geometry.mapping(shapely.box(*source.bounds))
        geometry = transform_geom(source.crs, "EPSG:4326", outline)
        code = f"EPSG:{source.crs.to_epsg()}"
    content = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": path.stem,
        "geometry": geometry,
        "bbox": list(shapely.geometry.shape(geometry).bounds),
        "properties": {"datetime": f"{date}T00:00:00Z", "proj:code": code},
        "assets": {asset: {"href": f"./{file}", **({"bands": BANDS} if asset == "image" else {})}},
        "links": [],
        **more,
    }
    path.write_text(json.dumps(content))
    return content


def write_collection(folder: Path, name: str, title: str, items: Sequence[Path]) -> Path:
    """A static collection of items beside it."""
    links = [{"rel": "item", "href": f"./{path.relative_to(folder)}"} for path in items]
    content = {
        "type": "Collection",
        "stac_version": "1.1.0",
        "id": name,
        "title": title,
        "description": title,
        "license": "proprietary" if name != "naip" else "PDDL-1.0",
        "providers": [{"name": f"Makers of {name}", "roles": ["producer"]}],
        "extent": {
            "spatial": {"bbox": [[-180, -90, 180, 90]]},
            "temporal": {"interval": [["2000-01-01T00:00:00Z", None]]},
        },
        "links": links,
    }
    path = folder / "collection.json"
    path.write_text(json.dumps(content))
    return path


def write_catalogue(folder: Path, collections: Sequence[Path]) -> Path:
    """A static catalogue of collections."""
    content = {
        "type": "Catalog",
        "stac_version": "1.1.0",
        "id": "drawn",
        "description": "A drawn place",
        "links": [
            {"rel": "child", "href": f"./{path.relative_to(folder)}"} for path in collections
        ],
    }
    path = folder / "catalog.json"
    path.write_text(json.dumps(content))
    return path


def write_images(folder: Path, years: Sequence[int] = (2020, 2022), columns: int = 2) -> Path:
    """Images of several years, one beside the other; returns their collection."""
    items = []
    for year in years:
        for column in range(columns):
            name = f"m_{column}_{year}"
            origin = (LEFT + column * SIDE, TOP)
            pixels = colours(4, SIDE, seed=year + column)
            write_cog(folder / f"{name}.tif", pixels, crs=CRS, origin=origin)
            item(folder / f"{name}.json", "image", f"{name}.tif", f"{year}-06-0{column + 1}")
            items.append(folder / f"{name}.json")
    return write_collection(folder, "naip", "NAIP", items)


def write_coarse(path: Path, codes: Sequence[int] = (41, 24), crs: str = CRS) -> Path:
    """A coarse map of 30 m that reaches 4 km beyond the images: one code west, another east."""
    cells = 280
    west = np.arange(cells)[None, :].repeat(cells, 0) < cells // 2 + 2
    pixels = np.where(west, *codes).astype(np.uint8)
    origin = (LEFT - 30 * cells // 2, TOP + 30 * cells // 2)
    return write_cog(path, pixels, resolution_m=30.0, crs=crs, origin=origin, nodata=0)


def write_osm(path: Path) -> Path:
    """An extract with a street, a path, a house, a pond and a stream, in the format of its name."""
    west, south, east, north = degrees(0, 0, 2 * SIDE, SIDE)
    width, height = east - west, north - south

    def at(x: float, y: float) -> tuple[float, float]:
        return west + x * width, south + y * height

    ways: list[tuple[dict[str, str], list[tuple[float, float]]]] = [
        ({"highway": "residential", "lanes": "2"}, [at(-0.5, 0.4), at(1.5, 0.4)]),
        ({"highway": "footway"}, [at(0, 0.2), at(1, 0.2)]),
        ({"highway": "primary", "tunnel": "yes"}, [at(0, 0.1), at(1, 0.1)]),
        ({"building": "yes"}, [at(0.6, 0.6), at(0.7, 0.6), at(0.7, 0.8), at(0.6, 0.8)]),
        ({"natural": "water"}, [at(0.2, 0.6), at(0.3, 0.6), at(0.3, 0.8), at(0.2, 0.8)]),
        ({"waterway": "stream", "width": "10 ft"}, [at(0.45, -0.5), at(0.45, 1.5)]),
        ({"building": "yes"}, [at(90, 90), at(91, 90), at(91, 91), at(90, 91)]),
        ({"building": "shed"}, [at(-0.5, 1.4), at(-0.4, 1.4), at(-0.4, 1.5), at(-0.5, 1.5)]),
        ({"building": "shed"}, [at(1.4, -0.5), at(1.5, -0.5), at(1.5, -0.4), at(1.4, -0.4)]),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    number = 0
    with osmium.SimpleWriter(str(path)) as writer:
        shapes = []
        for tags, points in ways:
            own = []
            for point in points:
                number += 1
                writer.add_node(Node(id=number, location=point, version=1))
                own.append(number)
            closed = "building" in tags or "natural" in tags
            shapes.append((tags, [*own, own[0]] if closed else own))
        for tags, nodes in shapes:
            number += 1
            writer.add_way(Way(id=number, nodes=nodes, tags=tags, version=1))
    return path


def write_place(folder: Path) -> Path:
    """All of it: ``catalog.json``, ``nlcd.tif``, ``city.osm.pbf``; returns the folder."""
    write_images_at = folder / "naip"
    write_images_at.mkdir(parents=True)
    images = write_images(write_images_at)
    write_catalogue(folder, [images])
    write_coarse(folder / "nlcd.tif")
    write_osm(folder / "city.osm.pbf")
    return folder
