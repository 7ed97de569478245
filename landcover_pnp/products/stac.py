"""Pieces of STAC that items of maps and of models have in common."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from pystac import Asset, Collection, Item
from pystac.extensions.classification import Classification
from pystac.extensions.file import FileExtension

from landcover_pnp.products.page import hex_colour
from landcover_pnp.storage.records import file_hash, write_json

NAMELESS = "map"
"""Identifier of a text that has no letter or digit of ours."""


def described_classes(
    names: Sequence[str],
    colours: Sequence[tuple[int, int, int]] | None = None,
    values: Sequence[int] | None = None,
) -> list[Classification]:
    """Classes by value, the first of which is no data.

    Args:
        names: Names of no data and of the classes.
        colours: Red, green, blue of each, where there are colours.
        values: Value of each; None is 0, 1, ...
    """
    words = [slug(name) for name in names]
    classes = []
    for place, (value, name) in enumerate(zip(values or range(len(names)), names, strict=True)):
        hint = hex_colour(colours[place])[1:].upper() if colours and place else None
        # Of names in other scripts nothing may be left, or the same of several.
        unique = words.count(words[place]) == 1 and words[place] != NAMELESS
        key = words[place] if unique else f"class-{value}"
        nodata = None if place else True
        classes.append(Classification.create(value, name, key, color_hint=hint, nodata=nodata))
    return classes


def add_file(item: Item, key: str, path: Path, asset: Asset) -> Asset:
    """Adds a file to an item as an asset, with its size and checksum.

    Args:
        item: The item.
        key: Name of the asset in it.
        path: The file.
        asset: What is said of it.

    Returns:
        The asset.
    """
    item.add_asset(key, asset)
    # A multihash: 12 is SHA-256, 20 its length in bytes, both hexadecimal.
    FileExtension.ext(asset, add_if_missing=True).apply(
        size=path.stat().st_size, checksum="1220" + file_hash(path)
    )
    return asset


def write_stac(thing: Item | Collection, path: Path) -> Path:
    """Writes an item or a collection; its links and addresses are written as they are.

    Returns:
        The file.
    """
    write_json(path, thing.to_dict(include_self_link=False, transform_hrefs=False))
    return path


def relative(path: Path, folder: Path) -> str:
    """Address of a file as seen from a folder."""
    there = Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    return there if there.startswith("../") else f"./{there}"


def slug(text: str) -> str:
    """A text as an identifier: letters, digits, ``-`` and ``_``."""
    return re.sub(r"[^0-9A-Za-z_-]+", "-", text).strip("-").lower() or NAMELESS
