"""Several image files named by a folder, a list or an index; what an index says is not trusted."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urljoin

import pyogrio

from landcover_pnp.config.addresses import address_of, is_address
from landcover_pnp.errors import RasterError
from landcover_pnp.scenes.remote_images import ASSETS, asset_of, below, remote_images
from landcover_pnp.scenes.vector_files import vector_layers
from landcover_pnp.storage.raster_files import raster_driver

SUFFIXES = (".tif", ".tiff", ".jp2", ".j2k")
"""Names under which a folder's images are found."""

COLUMNS = ("location", "path", "filename", "file")
"""Attributes of an index that name a file, the first that is there; gdaltindex writes the first."""


def image_files(image: Path, root: Path | None = None) -> tuple[Path, ...]:
    """The image files that a path stands for.

    Args:
        image: An image; a folder of images, hidden files left out; a list (``.txt``, a path a
            line); or an index: a STAC item collection, or a vector file (GeoPackage, GeoJSON,
            ...) such as gdaltindex writes, with the paths in one of ``COLUMNS``; or an address,
            see ``remote_images``.
        root: Folder from which the paths of a list or index count, and below which they must
            lie, links resolved; None is the folder of the list or index.

    Returns:
        The files in the order of their names (folder) or as listed; one that is listed twice
        is there once.

    Raises:
        RasterError: If there are none, one does not exist, or one lies outside of the root.
    """
    if is_address(image):
        return remote_images(image, root)
    if image.is_dir():
        named = (p for p in image.iterdir() if p.suffix.lower() in SUFFIXES)
        # Hidden ones are no images: macOS puts a ._x.tif beside each x.tif on foreign disks.
        return _some(sorted(p for p in named if not p.name.startswith(".")), image)
    if image.suffix.lower() == ".txt" and image.is_file():
        try:
            text = image.read_text(encoding="utf-8-sig")  # Windows marks UTF-8 at the beginning
        except UnicodeDecodeError as error:
            raise _no_index(image, f"is no UTF-8 text: {error}") from error
        lines = (line.strip() for line in text.splitlines())
        names = [line for line in lines if line and not line.startswith("#")]
    elif image.is_file() and image.suffix.lower() not in SUFFIXES and not raster_driver(image):
        names = _indexed(image)
    else:
        return (image,)
    if root is not None and is_address(root):
        start = f"{address_of(root)}/"
        return _some(dict.fromkeys(below(urljoin(start, n), root, image) for n in names), image)
    inside = (_contained(name, (root or image.parent).resolve(), image) for name in names)
    return _some(dict.fromkeys(inside), image)


def _indexed(index: Path) -> list[str]:
    if index.suffix.lower() in (".json", ".geojson"):
        try:
            content = json.loads(index.read_text(encoding="utf-8-sig"))
        except ValueError as error:
            raise _no_index(index, f"is no JSON: {error}") from error
        features = content.get("features") if isinstance(content, dict) else None
        items = [f for f in features if isinstance(f, dict)] if isinstance(features, list) else []
        if any("assets" in item for item in items):
            return [asset_of(item, index) for item in items]
        if isinstance(content, dict) and "assets" in content:
            return [asset_of(content, index)]
    layers = vector_layers(index, "index of images")
    if not layers:
        raise _no_index(index, "is neither an image nor a vector file")
    columns = [str(name) for name in pyogrio.read_info(index, layer=layers[0])["fields"]]
    column = next((name for name in COLUMNS if name in columns), None)
    if column is None:
        raise _no_index(index, f"has the attributes {', '.join(columns) or 'none'}")
    table = pyogrio.read_dataframe(index, layer=layers[0], columns=[column], read_geometry=False)
    if table[column].isna().any():
        raise _no_index(index, f"has features without a value of {column}")
    return [str(name) for name in table[column]]


def _no_index(index: Path, found: str) -> RasterError:
    return RasterError(
        found=f"{index} (imagery) {found}",
        expected="an image, a folder of images, a .txt list of paths, a vector file with one of "
        f"the attributes {', '.join(COLUMNS)}, or a STAC item collection with one of the assets "
        + ", ".join(ASSETS),
        fix="make an index with gdaltindex, or list the paths in a text file",
    )


def _contained(name: str, root: Path, index: Path) -> Path:
    local = "://" not in name and "\0" not in name and not name.startswith("/vsi")
    try:
        path = (root / name).resolve() if local else root
        with suppress(FileNotFoundError, NotADirectoryError):  # which costs its part alone
            path.stat()
    except (OSError, RuntimeError):  # a name too long, a circle of links
        path = root
    if path == root or not path.is_relative_to(root):
        raise RasterError(
            found=f"{index} names {name!r}, which is no file below {root}",
            expected="local files below one folder, links resolved",
            fix="if you trust the index, set scene.rasters.image_root to a folder above all its "
            "files, or to the address of one",
        )
    return path


def _some(files: Iterable[Path], image: Path) -> tuple[Path, ...]:
    listed = tuple(files)
    if not listed:
        raise RasterError(
            found=f"{image} (imagery) names no image",
            expected="at least one " + ", ".join(SUFFIXES),
            fix="correct the path; relative paths count from the configuration's folder",
        )
    return listed
