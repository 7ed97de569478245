"""Every pixel and every object of a scene's files, read and described one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rasterio.io import DatasetReader

from landcover_pnp.config.addresses import is_address
from landcover_pnp.errors import LandcoverError, LegendError
from landcover_pnp.grid import Box, blocks
from landcover_pnp.legend import LEGENDS, NO_DATA, count_values, require_labels
from landcover_pnp.legends.coarse_legend import CoarseLegend
from landcover_pnp.scenes.coarse_maps import count_known, require_percent_band
from landcover_pnp.scenes.coarse_values import reading
from landcover_pnp.scenes.inputs import LEGEND, coarse_file, input_files
from landcover_pnp.scenes.scene import OBJECT_LAYERS, PERCENTAGES
from landcover_pnp.scenes.settings import CoarseFile, RasterFiles
from landcover_pnp.scenes.vector_files import count_features, vector_layers
from landcover_pnp.storage.georeference import sides
from landcover_pnp.storage.images import open_image, read_bands
from landcover_pnp.storage.raster import label_band, open_raster, read, read_labels, read_mask

MOST_VALUES = 20
"""Values of a layer that its report names, the most frequent ones."""


@dataclass(frozen=True)
class LayerReport:
    """What one input file holds.

    Attributes:
        layer: Name of the layer.
        path: The file.
        found: What was read.
        error: What is wrong with it, None if nothing.
    """

    layer: str
    path: Path
    found: str
    error: LandcoverError | None = None


def read_layers(files: RasterFiles) -> list[LayerReport]:
    """Reads every pixel and every object of a scene's files, of those at addresses the headers.

    Whether the layers fit each other and the map that is wanted, a plan and a survey tell: a coarse
    map that fits no legend far from the imagery does no harm.

    Args:
        files: The files.

    Returns:
        One report a file.
    """
    reports = []
    try:
        inputs = input_files(files)
    except LandcoverError as error:
        return [LayerReport("image", files.image, "unusable", error)]
    for layer, path in inputs.items():
        try:
            reports.append(LayerReport(layer, path, _read_layer(layer, path, files)))
        except LandcoverError as error:
            reports.append(LayerReport(layer, path, "unusable", error))
    return reports


def _read_layer(layer: str, path: Path, files: RasterFiles) -> str:
    if layer in (*OBJECT_LAYERS, "labels", "area") and vector_layers(path, layer) is not None:
        return f"{count_features(path)} features"
    if layer.partition(" ")[0] == LEGEND:
        return f"{len(CoarseLegend.load(path).classes)} classes"
    is_image = layer.startswith("image")
    with open_image(path, files.bands) if is_image else open_raster(path, layer) as source:
        extent = Box(0, source.height, 0, source.width)
        size = f"{source.width} x {source.height} px of {sides(source)}"
        bands = read_bands(source, files.bands) if is_image else None
        if layer in PERCENTAGES:
            require_percent_band(source, layer)
        elif not is_image:
            label_band(source, layer)
        if is_address(path):
            kind = f"{bands}" if bands else f"{source.dtypes[0]}"
            return f"{size}, {kind}; its pixels are read where the map needs them"
        if bands:
            valid, darkest, brightest = 0, np.inf, -np.inf
            for box in blocks(extent):
                pixels, mask = read(source, bands.indexes, box), read_mask(source, box)
                valid += int(mask.sum())
                darkest, brightest = min(darkest, pixels.min()), max(brightest, pixels.max())
            share = valid / (source.width * source.height)
            return (
                f"{size}, {len(bands.names)} bands of {source.dtypes[bands.indexes[0] - 1]}, "
                f"{darkest} to {brightest}, {share:.1%} with data; {bands}"
            )
        if layer in PERCENTAGES:
            return f"{size}, percentages"
        coarse = coarse_file(layer, files)
        if coarse is not None:
            return f"{size}, " + _coarse(source, extent, coarse)
        counts: Counter[int] = Counter()
        for box in blocks(extent):
            counts.update(count_values(read_labels(source, box)))
    if layer != "truth" or files.truth is None:
        return f"{size}, values " + _listed(counts, {})
    legend = LEGENDS[files.truth.legend]
    legend.require_known(counts, str(path))
    require_labels(counts, f"{path} (truth)")
    names = {c.code: f"{c.code} {c.name}" for c in legend.classes}
    return f"{size}, legend {legend.name}: " + _listed(counts, names)


def _coarse(source: DatasetReader, extent: Box, coarse: CoarseFile) -> str:
    legend = CoarseLegend.load(coarse.legend)
    counts, missing = count_known(source, extent)
    missing += 0 if legend.has_zero else counts.pop(NO_DATA, 0)
    try:
        _, table = reading(legend, counts, str(coarse.path), coarse.values)
    except LegendError:  # of the whole file; the survey looks at what is mapped
        return "values " + _listed(counts + Counter({NO_DATA: missing}), {})
    numbered = Counter({table[value]: count for value, count in counts.items()})
    names = {number: f"{c.code} {c.name}" for number, c in enumerate(legend.classes, start=1)}
    return f"legend {legend.name}: " + _listed(numbered + Counter({NO_DATA: missing}), names)


def _listed(counts: Counter[int], names: Mapping[int, str]) -> str:
    """Values and their shares, by names if there are any."""
    said = {NO_DATA: f"{NO_DATA} no data", **names} if names else {}
    total = sum(counts.values())
    frequent = sorted(counts.most_common(MOST_VALUES))
    shares = ", ".join(f"{said.get(v, v)} {n / total:.1%}" for v, n in frequent)
    others = len(counts) - len(frequent)
    return shares + (f" and {others} others" if others else "")
