"""Preparation of a scene: every layer brought onto the working grid once, in windows."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.features import geometry_mask

from landcover_pnp.config import plain
from landcover_pnp.errors import CollarWarning, FillError, RasterError
from landcover_pnp.grid import Box, blocks
from landcover_pnp.legend import LEGENDS, NO_DATA, count_values, require_labels
from landcover_pnp.scenes.class_labels import LABELS, drawn_labels
from landcover_pnp.scenes.coarse_maps import CoarseOnGrid, percentages
from landcover_pnp.scenes.image_windows import ImageryOnGrid
from landcover_pnp.scenes.inputs import name_inputs
from landcover_pnp.scenes.object_shares import object_shares
from landcover_pnp.scenes.rasters import ScenePlan
from landcover_pnp.scenes.scene import CLOUDS, NO_PERCENT, OBJECT_LAYERS, PERCENTAGES, Scene
from landcover_pnp.scenes.settings import LayerFile, TruthFile
from landcover_pnp.storage import raster
from landcover_pnp.storage.bands import NAMES
from landcover_pnp.storage.geotiff import Band, write_raster
from landcover_pnp.storage.hashes import HashBook
from landcover_pnp.storage.owned_folder import OwnedFolder, make_owned
from landcover_pnp.storage.raster import on_grid, open_raster
from landcover_pnp.storage.records import (
    RECORD,
    Ingredients,
    Record,
    file_hashes,
    fingerprint,
    move_changed_aside,
    write_json,
)
from landcover_pnp.storage.replaced_folder import replaced

Write = Callable[[Path, GeoBox, Band, Iterable[tuple[Box, NDArray[Any]]]], None]
"""What is done with a layer's pixels: ``write_raster``, or its like without a file."""


def prepare_scene(
    plan: ScenePlan,
    folder: Path,
    working: Callable[..., None] = lambda *_: None,
    owner: OwnedFolder | None = None,
) -> Scene:
    """Brings every layer onto the working grid, once, in windows.

    The image is averaged, classes of coarse maps and percentages are taken by nearest neighbour and
    truth by the most frequent value, objects become the share of a pixel they cover.

    Args:
        plan: From ``plan_scene``.
        folder: Folder of the scene; a scene there is kept if it was made of the same inputs,
            else replaced when the new one is complete.
        working: Called before it is made anew, with sentences on why, if there are any.
        owner: Owned folder that the scene's folder lies in; None takes the folder above it.

    Returns:
        The scene.

    Raises:
        RasterError: If a file's pixels cannot be read or the image has no data at all.
        LegendError: If a coarse map or truth hold unknown codes; lists them with counts.
        GridError: If a coarse map has no data on the image.
        RequestError: If something that is not ours has the name of one of its files.
    """
    start = time.monotonic()
    owner = owner or make_owned(folder.parent, "scenes", beside=True)
    name = folder.relative_to(owner.path).as_posix()
    owner.claim(f"{name}-inputs.json")
    book = HashBook(owner.path / f"{name}-inputs.json")
    made_of = plan.made_of(book.file_hash)
    book.save()
    record, differing = Record.standing(folder / RECORD, made_of)
    if record is not None:
        return Scene.open(folder)
    told = ", ".join(name_inputs(differing, plan.files))
    why = [f"scene prepared again, changed since the last run: {told}"] if told else []
    working(*why, *move_changed_aside(folder / RECORD))
    with replaced(owner, name) as partial:
        content = write_layers(plan, partial)
        damaged = content["damaged"]
        # What was missing is looked for again by the next run: it may have been repaired.
        content["fingerprint"] = fingerprint({**_without_truth(made_of), "damaged": damaged})
        status: Literal["done", "failed"] = "failed" if damaged else "done"
        write_json(partial / "scene.json", content)
        files = file_hashes(partial, sorted(partial.iterdir()))
        record = Record(status, made_of, time.monotonic() - start, files=files)
        record.write(partial / RECORD)
    return Scene.open(folder)


def _without_truth(made_of: Ingredients) -> Ingredients:
    return {k: v for k, v in made_of.items() if not k.startswith(("files.truth", "sha256.truth"))}


def write_layers(plan: ScenePlan, folder: Path, write: Write = write_raster) -> dict[str, Any]:
    """Reads every layer onto the working grid and refuses what no map can be made of.

    Args:
        plan: From ``plan_scene``.
        folder: Folder of the layers.
        write: Given each layer's file, grid, band and pixels.

    Returns:
        What ``Scene.open`` expects of ``scene.json``, but for its fingerprint.

    Raises:
        RequestError: As ``prepare_scene``.
    """
    files, geobox = plan.files, plan.geobox
    extent = Box(0, int(geobox.shape[0]), 0, int(geobox.shape[1]))
    with ImageryOnGrid.opened(plan.imagery, geobox) as imagery:
        scale, valid_px, valid = _write_image(plan, imagery, folder, extent, write)
        imagery.warn_of_empty()
        collars = imagery.collars
        for collar in collars:
            warnings.warn(collar, CollarWarning, stacklevel=2)
    coarse = _write_coarse(plan, folder, extent, write)
    notes = [*plan.notes, *collars, *coarse.notes]
    percent_m = _write_percentages(plan, folder, extent, write)
    if files.truth is not None:
        _write_truth(files.truth, geobox, folder / "truth.tif", extent, write)
    for name in OBJECT_LAYERS:
        layer: LayerFile | None = getattr(files, name)
        if layer is not None:
            shares = object_shares(layer, name, geobox, extent)
            if name == CLOUDS:
                shares = _under_clouds(layer, shares, valid)
            _write_shares(shares, name, geobox, folder / f"{name}.tif", write)
    if files.labels is not None:
        write(folder / "labels.tif", geobox, LABELS, drawn_labels(files.labels, geobox, extent))
    return {
        "grid": {
            "shape": list(geobox.shape),
            "transform": list(geobox.transform)[:6],
            "crs": str(geobox.crs),
        },
        "image_bands": len(plan.imagery.bands),
        "bands": list(plan.imagery.bands),
        "image_scale": scale,
        "legends": [plain(legend) for legend in coarse.legends],
        "percent_m": percent_m,
        "truth_legend": files.truth.legend if files.truth else None,
        "valid_px": valid_px,
        "notes": notes,
        "damaged": [(list(box), reason) for box, reason in imagery.damaged.items()],
    }


def _write_coarse(plan: ScenePlan, folder: Path, extent: Box, write: Write) -> CoarseOnGrid:
    maps = plan.files.coarse_maps
    with CoarseOnGrid.opened(maps, plan.geobox, extent, plan.files.image) as coarse:
        names = tuple(f"class of {legend.title}" for legend in coarse.legends)
        parts = ((box, coarse.numbers(box)) for box in blocks(extent))
        write(folder / "coarse.tif", plan.geobox, Band("uint8", names, nodata=NO_DATA), parts)
    return coarse


def _write_percentages(
    plan: ScenePlan, folder: Path, extent: Box, write: Write
) -> dict[str, float]:
    percent_m = {}
    for name in PERCENTAGES:
        path: Path | None = getattr(plan.files, name)
        if path is not None:
            parts = percentages(path, name, plan.geobox, extent, plan.files.image)
            band = Band("uint8", (f"percentage of {name}",), nodata=NO_PERCENT)
            write(folder / f"{name}.tif", plan.geobox, band, parts)
            percent_m[name] = plan.files.percent_resolution_m
    return percent_m


def _write_image(
    plan: ScenePlan, imagery: ImageryOnGrid, folder: Path, extent: Box, write: Write
) -> tuple[float, int, Mapping[Box, NDArray[np.uint8]]]:
    first = plan.imagery.images[0]
    values = np.zeros(65536, np.int64)
    wanted_px = 0
    masks: dict[Box, NDArray[np.uint8]] = {}  # a bit a pixel: small, and read only once

    def image_parts() -> Iterator[tuple[Box, NDArray[Any]]]:
        nonlocal wanted_px
        for box in blocks(extent):
            pixels, valid = imagery.read(box)
            if plan.files.black_is_no_data:
                valid &= pixels.any(axis=0)
            if plan.area is not None:
                transform = plan.geobox[box.within(extent)].transform
                inside = geometry_mask([plan.area], box.shape, transform, invert=True)
                wanted_px += int(inside.sum())
                valid &= inside
            pixels[:, ~valid] = 0
            values[:] += np.bincount(pixels[:, valid].ravel(), minlength=len(values))
            masks[box] = np.packbits(valid)
            yield box, pixels

    def valid_parts() -> Iterator[tuple[Box, NDArray[Any]]]:
        for box, bits in masks.items():
            height, width = box.shape
            yield box, np.unpackbits(bits, count=height * width).reshape(1, height, width)

    names = first.bands.names
    band = Band(first.dtype, tuple(NAMES[name] for name in names), rgb="blue" in names)
    write(folder / "image.tif", plan.geobox, band, image_parts())
    valid_band = Band("uint8", ("1 where the scene has data",))
    write(folder / "valid.tif", plan.geobox, valid_band, valid_parts())
    valid_px = int(values.sum()) // len(names)
    if valid_px == 0 or values[1:].sum() == 0:
        raise _no_data(plan, valid_px, wanted_px)
    return _image_scale(first.dtype, values), valid_px, masks


def _no_data(plan: ScenePlan, valid_px: int, wanted_px: int) -> RasterError:
    files = plan.files
    black = " or black (scene.rasters.black_is_no_data)" if files.black_is_no_data else ""
    every = "every pixel is 0" if valid_px else f"every pixel is masked{black}"
    if files.area is None:
        return RasterError(
            found=f"{files.image} has no data in the whole working area: {every}",
            expected="an image with pixels",
            fix="fetch the file again, it may come from an interrupted download or export",
        )
    found = f"{files.image} has no data in the area of interest {files.area}: {every} there"
    if wanted_px == 0:
        found = f"the area of interest in {files.area} holds no centre of a working pixel"
    return RasterError(
        found=found,
        expected="an area of interest on ground that the image shows, with room for pixels of "
        f"{abs(plan.geobox.resolution.x):g} m",
        fix="look at both in QGIS; move or enlarge the area, or name the image of that ground",
    )


def _image_scale(dtype: str, counts: NDArray[np.int64]) -> float:
    """Value that becomes 1: 255 for uint8; sensors fill uint16 in part, so its 99.5 % quantile."""
    if dtype == "uint8":
        return 255.0
    return float(max(1, np.searchsorted(np.cumsum(counts), 0.995 * counts.sum())))


def _write_truth(truth: TruthFile, geobox: GeoBox, path: Path, extent: Box, write: Write) -> None:
    counts: Counter[int] = Counter()
    with (
        open_raster(truth.path, "truth") as source,
        on_grid(source, geobox, Resampling.mode) as view,
    ):

        def parts() -> Iterator[tuple[Box, NDArray[Any]]]:
            for box in blocks(extent):
                labels = raster.read_labels(view, box)
                counts.update(count_values(labels))
                yield box, labels[None]

        # The view's type, not the file's: int8 is seen as int16.
        write(path, geobox, Band(view.dtypes[0], (path.stem,), nodata=NO_DATA), parts())
    LEGENDS[truth.legend].require_known(counts, str(truth.path))
    require_labels(counts, f"{truth.path} (truth), on the grid of the map,")


def _under_clouds(
    layer: LayerFile,
    shares: Iterable[tuple[Box, NDArray[np.float32]]],
    valid: Mapping[Box, NDArray[np.uint8]],
) -> Iterator[tuple[Box, NDArray[np.float32]]]:
    """The shares of clouds, if they leave any pixel of the image to be seen."""
    seen_px = hidden_px = 0
    for box, share in shares:
        there = np.unpackbits(valid[box], count=share.size).reshape(share.shape) == 1
        hidden_px += int((there & (share > 0)).sum())
        seen_px += int((there & (share == 0)).sum())
        yield box, share
    if not seen_px:
        raise FillError(
            found=f"{layer.path} (clouds) hides all {hidden_px} pixels of the image",
            expected="ground that the image shows: there is nothing to hold on to",
            fix="name an image of a clearer day; if the mask is 1 where the ground is seen, name "
            "its other value by scene.rasters.clouds.codes",
        )


def _write_shares(
    shares: Iterable[tuple[Box, NDArray[np.float32]]],
    name: str,
    geobox: GeoBox,
    path: Path,
    write: Write,
) -> None:
    write(
        path,
        geobox,
        Band("uint8", (f"share of the pixel covered by {name}, 255 = all",)),
        ((box, np.rint(share * 255).astype(np.uint8)[None]) for box, share in shares),
    )
