"""Images named by a list or a STAC catalogue at an address; what these name is not trusted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin

from landcover_pnp.config.addresses import address_of, as_path, hidden, is_address, shown
from landcover_pnp.errors import AddressError, SettingsError
from landcover_pnp.storage.raster_files import driver_of
from landcover_pnp.storage.remote.documents import read_document
from landcover_pnp.storage.remote.ranges import generation

ASSETS = ("image", "visual", "data")
"""Assets of a STAC item that hold its image, the first that is there."""

MOST_PAGES = 100
"""Pages of a search that are read."""

IMAGES = (".tif", ".tiff", ".jp2", ".j2k")
"""Endings of addresses that are taken for images without a look."""


def remote_images(image: Path, root: Path | None = None) -> tuple[Path, ...]:
    """The images that an address stands for.

    Args:
        image: Path of the address: of an image; a list (``.txt``, an address or a name a line); a
            STAC item, item collection or search.
        root: Path of the address below which all must lie, and from which those of a list count;
            None is that of the folder of the list or catalogue.

    Returns:
        The image, or those that are listed, each once, in their order.

    Raises:
        AddressError: If it is none of these, names no image, or one that lies elsewhere.
        NetworkError: If the server fails.
    """
    return _images(image, root, generation())


@lru_cache(maxsize=64)
def _images(image: Path, root: Path | None, _generation: int) -> tuple[Path, ...]:
    address = address_of(image) or ""
    if address.partition("?")[0].lower().endswith(IMAGES):
        return (image,)
    content = read_document(image, lambda head: driver_of(head) is not None)
    if driver_of(content) is not None:
        return (image,)
    try:
        text = content.decode("utf-8-sig")
        named = list(_listed(text) if image.suffix.lower() == ".txt" else _assets(text, image))
    except ValueError as error:
        what = f"is neither an image nor a text that names some: {error}"
        raise _no_index(image, what) from error
    if not named:
        raise _no_index(image, "names no image")
    top = root if root is not None else folder_of(image)
    start = f"{address_of(root)}/" if root is not None and is_address(root) else address
    return tuple(dict.fromkeys(below(urljoin(start, name), top, image) for name in named))


def folder_of(image: Path) -> Path:
    """Path of the folder of an address."""
    return as_path(str(shown(image)).partition("?")[0].rpartition("/")[0])


def below(address: str, root: Path, index: Path) -> Path:
    """The path of an address that an index names.

    Args:
        address: The address, whole.
        root: Folder below which it must lie.
        index: Who names it, for messages.

    Raises:
        AddressError: If it is no address that is read, or lies elsewhere.
    """
    try:
        path = as_path(address)
    except SettingsError as error:
        raise _outside(address, root, index) from error
    plain, top = str(shown(path)).partition("?")[0], str(shown(root) or root)
    hops = ".." in unquote(plain).replace("\\", "/").split("/")
    if hops or not plain.startswith(f"{top}/"):
        raise _outside(address, root, index)
    return path


def _outside(address: str, root: Path, index: Path) -> AddressError:
    name = hidden(address)
    folder = name.partition("?")[0].rpartition("/")[0]
    trusted = f" to {folder}, or a folder above" if is_address(name) else ""
    return AddressError(
        found=f"{shown(index) or index} names {name!r}, which does not lie below "
        f"{shown(root) or root}",
        expected="images below one folder: no list or catalogue is to choose who is asked",
        fix=f"if you trust it, set scene.rasters.image_root{trusted}",
    )


def _listed(text: str) -> Iterator[str]:
    lines = (line.strip() for line in text.splitlines())
    return (line for line in lines if line and not line.startswith("#"))


def _assets(text: str, image: Path) -> Iterator[str]:
    """The images of a STAC item, of a collection of items, and of the pages after it."""
    for _ in range(MOST_PAGES):
        content = json.loads(text)
        features = content.get("features") if isinstance(content, dict) else None
        for item in features if isinstance(features, list) else [content]:
            yield asset_of(item, image)
        onward = _next(content)
        if not onward:
            return
        there = below(urljoin(str(address_of(image)), onward), folder_of(image), image)
        text = read_document(there).decode("utf-8-sig")
    raise _no_index(image, f"has more than {MOST_PAGES} pages")


def _next(content: Mapping[str, Any]) -> str:
    """Address of the next page, empty on the last."""
    links = content.get("links")
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict) and link.get("rel") == "next" and "body" not in link:
            return str(link.get("href", ""))
    return ""


def asset_of(item: Any, index: Path) -> str:
    """Where the image of a STAC item lies, as the item says it.

    Raises:
        AddressError: If it has none.
    """
    assets = item.get("assets") if isinstance(item, dict) else None
    assets = assets if isinstance(assets, dict) else {}
    name = next((name for name in ASSETS if name in assets), None)
    if name is None:
        raise _no_index(index, f"has an item with the assets {', '.join(assets) or 'none'}")
    href = assets[name].get("href") if isinstance(assets[name], dict) else None
    if not isinstance(href, str):
        raise _no_index(index, f"has an item whose asset {name} has no href")
    return href


def _no_index(image: Path, found: str) -> AddressError:
    return AddressError(
        found=f"{shown(image) or image} (imagery) {found}",
        expected="an image, a .txt list, or a STAC item, item collection or search with one of "
        "the assets " + ", ".join(ASSETS),
        fix="correct the address",
    )
