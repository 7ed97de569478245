"""A class map of whatever legend: its codes told, and translated to working classes and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.io import DatasetReader

from landcover_pnp.errors import LegendError
from landcover_pnp.grid import Box, blocks
from landcover_pnp.legend import (
    ENVIROATLAS,
    LEGENDS,
    NO_DATA,
    WORKING,
    LandClass,
    Legend,
    count_values,
    listed_counts,
    to_working,
)
from landcover_pnp.legends.coarse_legend import COARSE_NAMES, CoarseLegend
from landcover_pnp.legends.result_legend import ResultLegend
from landcover_pnp.storage.checked_json import read_regular
from landcover_pnp.storage.georeference import require_projected, require_square
from landcover_pnp.storage.map_legend import TAG, legend_of
from landcover_pnp.storage.raster import label_band, open_raster, read_labels

WHAT = "map"
"""What messages call it."""

_MAIN = 0.5
"""Share of a class's ground that makes it a working class, where its legend has shares."""

Colour = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class ClassMap:
    """A class map, looked at once.

    Attributes:
        path: The file.
        geobox: Its grid.
        dtype: Type of its pixels.
        nodata: Its declared value of no data, None without.
        description: Name of its band.
        legend: Its classes, with the names and colours of the file where it has any.
        classes: Working class by code; codes without one are not in it.
        counts: Pixels by code, no data left out.
        notes: What was taken for what, one sentence each.
        tags: Metadata by which the file says its legend itself; empty where it does not.
    """

    path: Path
    geobox: GeoBox
    dtype: str
    nodata: float | None
    description: str
    legend: Legend
    classes: Mapping[int, int]
    counts: Mapping[int, int]
    notes: tuple[str, ...]
    tags: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path, legend: str | Path | None) -> ClassMap:
        """Reads every pixel once, and tells the legend where none is named.

        Args:
            path: Raster of one band of classes, projected CRS.
            legend: Name of a legend, or the YAML file of one; None takes the one that the file
                says itself, else tells it from the file's colours and codes.

        Raises:
            RasterError: If it is no such raster.
            LegendError: If its legend cannot be told, or has not all of its codes, or has classes
                that hold several working classes, or it has no pixel with a class.
            DamagedError: If what the file says of its legend is no legend.
        """
        with open_raster(path, WHAT) as source:
            label_band(source, WHAT)
            require_projected(source, WHAT)
            require_square(source, WHAT)
            counts: Counter[int] = Counter()
            for box in blocks(Box(0, source.height, 0, source.width)):
                counts.update(count_values(read_labels(source, box)))
            del counts[NO_DATA]
            if not counts:
                raise LegendError(
                    found=f"{path} ({WHAT}) has no pixel with a class",
                    expected="a map with at least one",
                    fix="name another file; is a value declared as no data that is none?",
                )
            colours = _colours(source, counts)
            said = source.tags().get(TAG) if legend is None else None
            if legend is not None:
                told, classes, notes = _named(legend, counts, path)
            elif said is not None:
                told, classes, notes = _said(legend_of(source), counts, path)
            else:
                told, classes, notes = _told(path, counts, colours)
            return cls(
                path=path,
                geobox=GeoBox.from_rio(source),
                dtype=str(source.dtypes[0]),
                nodata=source.nodata,
                description=source.descriptions[0] or "land cover",
                legend=_as_in_file(told, path, colours),
                classes=classes,
                counts=dict(counts),
                notes=notes,
                tags={} if said is None else {TAG: said},
            )

    def to_working(self, codes: NDArray[np.integer]) -> NDArray[np.uint8]:
        """Codes of the map as working classes: (y, x) uint8, 0 = no data or without a class."""
        table = np.zeros(int(max(self.classes, default=0)) + 2, np.uint8)
        for code, working in self.classes.items():
            table[code] = working
        known = np.minimum(codes.astype(np.int64), len(table) - 1).clip(0)
        return np.asarray(table[known])

    @property
    def back(self) -> NDArray[np.int64]:
        """Code of the map by working class, index 0 = no data: of several the most frequent."""
        back = np.zeros(len(WORKING.classes) + 1, np.int64)
        for working in WORKING.codes:
            codes = [code for code, of in self.classes.items() if of == working]
            if codes:
                back[working] = max(codes, key=lambda code: (self.counts.get(code, 0), -code))
        return back

    @property
    def mix(self) -> NDArray[np.float32]:
        """(class,) share of each working class among the map's pixels."""
        found = np.zeros(len(WORKING.classes), np.float64)
        for code, count in self.counts.items():
            if code in self.classes:
                found[self.classes[code] - 1] += count
        return np.asarray(found / max(found.sum(), 1), np.float32)


_Told = tuple[Legend, Mapping[int, int], tuple[str, ...]]


def _named(name: str | Path, counts: Mapping[int, int], path: Path) -> _Told:
    """The legend that the user names."""
    if str(name) in LEGENDS:
        legend = LEGENDS[str(name)]
        legend.require_known(counts, str(path))
        return legend, _of(legend), ()
    coarse = CoarseLegend.load(name if str(name) in COARSE_NAMES else Path(name))
    classes = tuple(
        LandClass(c.code, c.name, (c.colour[0], c.colour[1], c.colour[2])) for c in coarse.classes
    )
    legend = Legend(coarse.name, classes)
    legend.require_known(counts, str(path))
    mapped = {
        c.code: int(np.argmax(c.shares)) + 1
        for c in coarse.classes
        if c.code != NO_DATA and max(c.shares) >= _MAIN
    }
    if not set(mapped) & set(counts):
        raise LegendError(
            found=f"no class of {path} is mostly one of the working classes, by its legend",
            expected="classes such as " + ", ".join(WORKING.names),
            fix="write a legend whose classes have main covers, see docs/legends.md",
        )
    mixed = [c.name for c in coarse.classes if c.code in counts and c.code not in mapped]
    told = f"taken for no class, since their legend says they are mixed: {', '.join(mixed)}"
    return legend, mapped, (told,) if mixed else ()


def _said(own: ResultLegend, counts: Mapping[int, int], path: Path) -> _Told:
    """The legend that a map of this package says of itself."""
    own.legend.require_known(counts, str(path))
    classes = own.to_working
    if classes is None:
        mixed = [c.name for c in own.ordered if len({*c.of} & {*WORKING.names}) > 1]
        raise LegendError(
            found=f"{path} ({WHAT}) is a map in the legend {own.name!r}, of whose classes "
            f"{', '.join(mixed)} hold several working classes",
            expected="a map whose classes are each one of " + ", ".join(WORKING.names),
            fix="fill the same map in the legend `five`: `landcover map CONFIG --legend five`",
        )
    return own.legend, classes, (f"legend {own.name!r}, as the map says itself",)


def _told(path: Path, counts: Mapping[int, int], colours: Mapping[int, Colour]) -> _Told:
    """The legend by the colours of the file, else by its codes."""
    by_colour = {c.colour: c for legend in (ENVIROATLAS, WORKING) for c in legend.classes}
    if colours.keys() >= counts.keys() and {colours[code] for code in counts} <= by_colour.keys():
        own = {code: by_colour[colours[code]] for code in sorted(counts)}
        mapped = {code: _of(ENVIROATLAS).get(c.code, c.code) for code, c in own.items()}
        for known in (WORKING, ENVIROATLAS):
            if set(counts) <= set(known.codes) and all(_of(known)[k] == mapped[k] for k in own):
                return known, _of(known), ()
        named = tuple(LandClass(code, c.name, c.colour) for code, c in own.items())
        told = "legend told from colours: " + ", ".join(f"{c.code} {c.name}" for c in named)
        return Legend("of its colours", named), mapped, (told,)
    for legend in (WORKING, ENVIROATLAS):
        if set(counts) <= set(legend.codes):
            told = f"no legend named: codes taken for those of the legend {legend.name!r}"
            return legend, _of(legend), (told,)
    raise LegendError(
        found=f"{path} ({WHAT}) has the codes {listed_counts(counts)}, and no colours that tell "
        "its legend",
        expected="codes of the working legend (1 to 5) or of EnviroAtlas, colours of one of them, "
        "or a legend that is named",
        fix="name its legend: --legend "
        + ", ".join((*LEGENDS, *COARSE_NAMES))
        + ", or a YAML file, see docs/legends.md",
    )


def _of(legend: Legend) -> dict[int, int]:
    """Working class by code of a legend of this package."""
    codes = np.array(legend.codes)
    working = to_working(codes[None], legend)[0].tolist()
    return dict(zip(legend.codes, working, strict=True))


def _colours(source: DatasetReader, codes: Iterable[int]) -> dict[int, Colour]:
    """Colours by code, of those used and all others that the file's colour table has set."""
    try:
        table = source.colormap(1)
    except ValueError:  # what rasterio says to a band without one
        return {}
    used = set(codes)  # of the others black is what nobody has set
    return {code: c[:3] for code, c in table.items() if code in used or any(c[:3])}


def _as_in_file(legend: Legend, path: Path, colours: Mapping[int, Colour]) -> Legend:
    """A legend with the names and colours that the file itself has for its codes."""
    names = _category_names(path)
    classes = tuple(
        LandClass(c.code, names.get(c.code) or c.name, colours.get(c.code, c.colour))
        for c in legend.classes
        if c.code != NO_DATA
    )
    return Legend(legend.name, classes)


def _category_names(path: Path) -> dict[int, str]:
    """GDAL's category names by code, of the file beside a raster; none where it has none."""
    try:
        root = ET.fromstring(read_regular(path.with_name(f"{path.name}.aux.xml")))  # noqa: S314
    except (OSError, ET.ParseError):
        return {}
    found = root.findall("./PAMRasterBand[@band='1']/CategoryNames/Category")
    return {value: (item.text or "").strip() for value, item in enumerate(found)}
