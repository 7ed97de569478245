"""A finished run as one xarray dataset: the map, how sure it is, and all class probabilities."""

from __future__ import annotations

import html
import io
from base64 import b64encode
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from xarray.backends import BackendArray
from xarray.core import indexing

from landcover_pnp.errors import RasterError
from landcover_pnp.grid import Box
from landcover_pnp.legend import NO_DATA, WORKING
from landcover_pnp.legends.result_legend import ResultLegend
from landcover_pnp.products.areas import SampledAreas
from landcover_pnp.products.pictures import class_picture
from landcover_pnp.products.result_classes import ResultClasses
from landcover_pnp.storage.checked_json import read_object
from landcover_pnp.storage.map_legend import legend_in, legend_of, legend_tags
from landcover_pnp.storage.newest import newest
from landcover_pnp.storage.raster import open_raster
from landcover_pnp.storage.run_folder import DOUBT, FILLED, STUDENT, RunFolder

PICTURE_PX = 400
"""Longest side of the picture that a notebook shows of a map."""


class LandCover(xr.Dataset):  # type: ignore[no-untyped-call]
    """The map of a run, as ``map_scene`` and ``open_run`` give it.

    An ``xarray.Dataset`` with the variables ``landcover`` (y, x) uint8 codes of classes, 0 = no
    data, ``confidence``, ``entropy`` and ``doubt`` (y, x) uint8 percent, 255 = no data, and
    ``probabilities`` (class, y, x) float32, sum to 1, or 0 without data. Pixels are read as they
    are used. Of a run with posterior samples, ``area``, ``area_low`` and ``area_high`` (class)
    float64 are the mapped hectares and their interval (of a map with another legend, those of the
    working classes, on the axis ``working_class``). ``rioxarray`` finds the CRS; classes, names
    and colours stand in the attributes of ``landcover``, as CF flags. The attribute ``run`` is the
    run folder.
    """

    __slots__ = ()

    def _repr_html_(self) -> str:
        """The map in its legend's colours, above what xarray shows of a dataset."""
        shown = super()._repr_html_()
        return _picture(self) + shown if "landcover" in self else shown


def open_run(run: str | Path, *, holds: object = None) -> LandCover:
    """Opens the map of a finished run.

    Args:
        run: The run folder.
        holds: What must live as long as pixels can be read, such as a temporary scene.

    Returns:
        The map; nothing of its pixels is read yet.

    Raises:
        RasterError: If the folder holds no finished map.
    """
    folder = newest(RunFolder(Path(run)))
    if not folder.landcover.is_file():
        raise RasterError(
            found=f"no finished map in {run}",
            expected="the folder of a run that `landcover map` or map_scene has finished",
            fix="give the run folder itself; `landcover status RUN` says how far a run is",
        )
    with open_raster(folder.landcover, "map") as source:
        coordinates = xr_coords(GeoBox.from_rio(source))
        result = ResultClasses.of(folder.path, legend_of(source))
    fine = STUDENT if folder.probability(STUDENT).is_file() and _drawn(folder) else "map"
    probabilities = _lazy(folder.probability(fine), holds, result)
    return LandCover(
        {
            "landcover": (("y", "x"), _lazy(folder.landcover, holds), flags(result.legend)),
            "confidence": (
                ("y", "x"),
                _lazy(folder.confidence, holds),
                {"long_name": "largest class probability", "units": "percent", "_FillValue": 255},
            ),
            "entropy": (
                ("y", "x"),
                _lazy(folder.raster("entropy"), holds),
                {"long_name": "entropy of the classes", "units": "percent", "_FillValue": 255},
            ),
            **_doubt(folder, holds),
            **_areas(folder, result.legend),
            **_ground(RunFolder(Path(run)), folder, holds),
            "probabilities": (
                ("class", "y", "x"),
                probabilities,
                {"long_name": "class probability", "units": "1"},
            ),
        },
        coords={**coordinates, "class": list(result.legend.legend.names)},
        attrs={"run": str(run), "Conventions": "CF-1.10"},
    )


def run_of(result: LandCover | str | Path) -> Path:
    """The run folder of a map, or that which is named."""
    return Path(result.attrs["run"] if isinstance(result, xr.Dataset) else result)


def flags(result: ResultLegend) -> dict[str, Any]:
    """Attributes of a map: its legend as CF conventions write it (CF 1.10, section 3.5)."""
    legend = result.legend
    return {
        "long_name": "land cover",
        "flag_values": np.array(legend.codes, np.uint8),
        "flag_meanings": " ".join("_".join(name.split()) for name in legend.names),
        "flag_colors": " ".join("#{:02x}{:02x}{:02x}".format(*c.colour) for c in legend.classes),
        "_FillValue": NO_DATA,
        **legend_tags(result),
    }


GROUND_FLAGS: dict[str, Any] = {
    "long_name": "how the ground is known",
    "flag_values": np.array([1, 2, 3], np.uint8),
    "flag_meanings": "seen filled corrected",
    "_FillValue": NO_DATA,
}
"""Attributes of filled and corrected ground, see ``products.ground``."""


def _doubt(folder: RunFolder, holds: object) -> dict[str, Any]:
    """The variable ``doubt``; none of a run of an earlier version."""
    path = folder.raster(DOUBT)
    if not path.is_file():
        return {}
    about = {"long_name": "doubt of the map", "units": "percent", "_FillValue": 255}
    return {DOUBT: (("y", "x"), _lazy(path, holds), about)}


def _areas(folder: RunFolder, legend: ResultLegend) -> dict[str, Any]:
    """The areas of the working classes with intervals; nothing of a run without samples."""
    sampled = SampledAreas.read(read_object(folder.summary) or {})
    if sampled is None:
        return {}
    rows = [sampled.classes[name] for name in WORKING.names]
    about = {"units": "hectare", "interval": sampled.title, "samples": sampled.samples}
    axis = "class" if legend.is_working else "working_class"
    names = {} if legend.is_working else {axis: (axis, list(WORKING.names))}
    return {
        **names,
        **{
            name: (axis, [getattr(row, field) for row in rows], {"long_name": what, **about})
            for name, field, what in (
                ("area", "mapped_ha", "mapped area"),
                ("area_low", "low_ha", "lower end of the area's interval"),
                ("area_high", "high_ha", "upper end of the area's interval"),
            )
        },
    }


def _ground(own: RunFolder, newest_: RunFolder, holds: object) -> dict[str, Any]:
    """The variable ``filled``, how the ground is known; none where all of it was seen."""
    paths = [folder.raster(FILLED) for folder in (newest_, own)]
    there = next(filter(Path.is_file, paths), None)
    return {} if there is None else {FILLED: (("y", "x"), _lazy(there, holds), GROUND_FLAGS)}


def _drawn(folder: RunFolder) -> bool:
    """Whether the map is the student's: as fine as its probabilities."""
    with (
        open_raster(folder.landcover, "map") as drawn,
        open_raster(folder.probability(STUDENT), "probabilities") as fine,
    ):
        return bool(drawn.shape == fine.shape)


class _RasterArray(BackendArray):
    """A raster whose windows are read when they are asked for."""

    def __init__(self, path: Path, holds: object, result: ResultClasses | None) -> None:
        self._path, self._result, self._holds = path, result, holds
        with open_raster(path, "raster of the run") as source:
            height, width = source.height, source.width
            self.dtype = np.dtype(np.float32 if result else source.dtypes[0])
        classes = (len(result.legend.classes),) if result else ()
        self.shape = (*classes, height, width)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> NDArray[Any]:
        basic = indexing.IndexingSupport.BASIC
        return np.asarray(indexing.explicit_indexing_adapter(key, self.shape, basic, self._read))

    def _read(self, key: tuple[int | slice, ...]) -> NDArray[Any]:
        *bands, rows, columns = key
        (top, bottom, y), (left, right, x) = (
            _range(part, size) for part, size in zip((rows, columns), self.shape[-2:], strict=True)
        )
        box = Box(top, bottom, left, right)
        with open_raster(self._path, "raster of the run") as source:
            if self._result:
                with self._result.probabilities(source) as probabilities:
                    return probabilities(box)[bands[0]][..., y, x]
            values: NDArray[Any] = source.read(1, window=box.window)
            return values[y, x]


def _range(key: int | slice, size: int) -> tuple[int, int, int | slice]:
    """First and last position that a key needs, and the key within them."""
    if not isinstance(key, slice):
        position = range(size)[key]
        return position, position + 1, 0
    positions = range(size)[key]
    if not positions:
        return 0, 0, slice(0)
    low, high = min(positions[0], positions[-1]), max(positions[0], positions[-1])
    step = positions.step
    return low, high + 1, slice(None, None, step)


def _lazy(path: Path, holds: object, result: ResultClasses | None = None) -> xr.Variable | Any:
    return indexing.LazilyIndexedArray(_RasterArray(path, holds, result))


def _picture(result: LandCover) -> str:
    from PIL import Image

    step = max(1, -(-max(result.sizes["y"], result.sizes["x"]) // PICTURE_PX))
    labels = np.asarray(result["landcover"][::step, ::step])
    legend = legend_in(result["landcover"].attrs).legend
    file = io.BytesIO()
    Image.fromarray(class_picture(labels, legend)).save(file, format="png")
    shares = np.bincount(legend.numbers(labels).ravel(), minlength=len(legend.classes) + 1)[1:]
    total = max(int(shares.sum()), 1)
    rows = "".join(
        '<li><span style="display:inline-block;width:1em;height:1em;vertical-align:-.15em;'
        f'background:rgb{c.colour};border:1px solid #888"></span> {html.escape(c.name)} '
        f"{shares[place] / total:.0%}</li>"
        for place, c in enumerate(legend.classes)
    )
    encoded = b64encode(file.getvalue()).decode()
    return (
        '<div style="display:flex;gap:1em;align-items:center">'
        f'<img alt="land-cover map" src="data:image/png;base64,{encoded}" '
        f'style="max-width:{PICTURE_PX}px;image-rendering:pixelated;border:1px solid #888">'
        f'<ul style="list-style:none;padding:0">{rows}</ul></div>'
    )
