"""The input files of a scene: their names, and the hashes of all that is read of them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from landcover_pnp.config.addresses import is_address
from landcover_pnp.scenes.image_lists import image_files
from landcover_pnp.scenes.scene import OBJECT_LAYERS, PERCENTAGES
from landcover_pnp.scenes.settings import CoarseFile, RasterFiles
from landcover_pnp.storage.files import text_hash
from landcover_pnp.storage.sidecars import part_hashes

COARSE, LEGEND = "coarse", "legend"
"""Names of the first coarse map and of its legend's file; those of others have a number behind."""

MOST_NAMES = 20
"""Inputs that a message names, of a folder of thousands of images."""


def input_files(files: RasterFiles) -> dict[str, Path]:
    """Paths of all files of a scene by the name of their layer, several images by theirs too.

    Raises:
        RasterError: As ``image_files``.
    """
    others = {name: getattr(files, name) for name in (*PERCENTAGES, "truth", "labels", "area")}
    layers: dict[str, Any] = {name: getattr(files, name) for name in OBJECT_LAYERS}
    for number, file in enumerate(files.coarse_maps, start=1):
        which = f" {number}" if number > 1 else ""
        layers[f"{COARSE}{which}"] = file
        layers[f"{LEGEND}{which}"] = file.legend if isinstance(file.legend, Path) else None
    paths = {name: getattr(given, "path", given) for name, given in {**layers, **others}.items()}
    return image_inputs(files) | {name: path for name, path in paths.items() if path is not None}


def coarse_file(layer: str, files: RasterFiles) -> CoarseFile | None:
    """The coarse map of a layer's name in ``input_files``; None for any other layer."""
    name, _, number = layer.partition(" ")
    return files.coarse_maps[int(number or 1) - 1] if name == COARSE else None


def image_inputs(files: RasterFiles) -> dict[str, Path]:
    """The part of ``input_files`` that is imagery."""
    images = image_files(files.image, files.image_root)
    if len(images) == 1:
        return {"image": images[0]}
    folder = Path(os.path.commonpath([path.parent for path in images]))
    times = Counter(path.name for path in images)
    return {
        f"image {p.name if times[p.name] == 1 else p.relative_to(folder).as_posix()}": p
        for p in images
    }


def input_hashes(files: RasterFiles, hash_of: Callable[[Path], str]) -> dict[str, str]:
    """Hashes of all that is read of a scene's files.

    Args:
        files: The files.
        hash_of: SHA-256 of a file; may remember it as long as the file stays the same.

    Returns:
        Hash by the name of the input and what ``part_hashes`` adds to it: ``coarse``,
        ``image.tfw``.

    Raises:
        RasterError: As ``image_files``.
    """
    return _hashes(_read(files), hash_of)


def image_hashes(files: RasterFiles, hash_of: Callable[[Path], str]) -> dict[str, str]:
    """The part of ``input_hashes`` that is imagery; a list of images is not among it."""
    return _hashes(image_inputs(files), hash_of)


def name_inputs(ingredients: Sequence[str], files: RasterFiles) -> list[str]:
    """Ingredients of a scene as messages name them: the hash of a file by the file's own name.

    Args:
        ingredients: Names, of the scene of these files or of an earlier one.
        files: The files of today.
    """
    inputs = _read(files)
    names = list(dict.fromkeys(_said(name, inputs) for name in ingredients))
    more = len(names) - MOST_NAMES
    return [*names[:MOST_NAMES], *([f"{more} more"] if more > 0 else [])]


def _said(ingredient: str, inputs: Mapping[str, Path]) -> str:
    what = ingredient.removeprefix("sha256.")
    name = max((name for name in inputs if what.startswith(name)), key=len, default=None)
    if what == ingredient or name is None:
        return what
    path, part = inputs[name], what.removeprefix(name)
    # Of a folder only its own name: a file geodatabase has dozens of files.
    whole = not part or part.startswith("/")
    return f"{path.name if whole else path.stem + part} ({name.partition(' ')[0]})"


def _read(files: RasterFiles) -> dict[str, Path]:
    """All inputs; a list or index of images too, which says whose pixels come first."""
    there = is_address(files.image) or files.image.is_file()
    listed = there and image_files(files.image, files.image_root) != (files.image,)
    return {**({"index": files.image} if listed else {}), **input_files(files)}


def _hashes(inputs: Mapping[str, Path], hash_of: Callable[[Path], str]) -> dict[str, str]:
    hashes = {
        name + part: digest
        for name, path in inputs.items()
        if name != "index" or not is_address(path)
        for part, digest in part_hashes(path, hash_of).items()
    }
    if is_address(inputs.get("index", "")):  # a search need not tell when its answer changes
        names = [str(p).partition("?")[0] for name, p in inputs.items() if name[:5] == "image"]
        hashes["index"] = text_hash("\n".join(names))
    return hashes
