"""What the values of a coarse map's raster are: codes of its legend, or indices into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.errors import LegendError
from landcover_pnp.legend import NO_DATA, listed_counts
from landcover_pnp.legends.coarse_legend import COARSE_NAMES, CoarseLegend, CoarseValues

Table = dict[int, int]
"""Number of a class, from 1, by the value that stands for it."""


def reading(
    legend: CoarseLegend,
    counts: Mapping[int, int],
    where: str,
    values: CoarseValues | None = None,
) -> tuple[CoarseValues, Table]:
    """Tells whether a raster holds a legend's codes or indices.

    Codes and indices may overlap, as 11 and 12 of NLCD do: that is not guessed.

    Args:
        legend: The raster's legend.
        counts: Pixel count by value of all that is wanted, a window alone may mislead; 0 is no
            data unless it is a code.
        where: File named in messages.
        values: What the user says that they are; None for what they can only be.

    Returns:
        What they are, and the number of the class by value; codes where there is no value at all.

    Raises:
        LegendError: If the values fit both readings, none, or not the one that is named; lists
            them with their counts.
    """
    tables: dict[CoarseValues, Table] = {
        "codes": {code: number for number, code in enumerate(legend.codes, start=1)}
    }
    if legend.indices:
        tables["indices"] = {number: number for number in range(1, len(legend.classes) + 1)}
    found = {v: n for v, n in counts.items() if v != NO_DATA or legend.has_zero}
    asked = tables if values is None else {w: t for w, t in tables.items() if w == values}
    fitting = [(word, table) for word, table in asked.items() if found.keys() <= table.keys()]
    if len(fitting) == 1 or (fitting and not found):
        return fitting[0]
    file = f"{where} ({legend.title})"
    key = f"scene.rasters.{'nlcd' if legend.name == 'nlcd' else 'coarse'}_values"
    expected = ", or ".join(_described(legend, word, table) for word, table in tables.items())
    if fitting:
        raise LegendError(
            found=f"{file} holds {listed_counts(found)}, which are both codes and indices",
            expected=expected,
            fix=f"say which by {key}: codes or indices",
        )
    if not asked:
        raise LegendError(
            found=f"{file} is to be read as {values} ({key})",
            expected=expected,
            fix="leave that out",
        )
    said = f", {key}: {values}" if values else ""
    raise _unknown(legend, found, file + said, asked, expected)


def _unknown(
    legend: CoarseLegend,
    found: Mapping[int, int],
    file: str,
    asked: Mapping[CoarseValues, Table],
    expected: str,
) -> LegendError:
    """The error for values that no reading fits."""
    several = len(asked) > 1
    known = set().union(*(table.keys() for table in asked.values()))
    unknown = {v: n for v, n in found.items() if v not in known} or dict(found)
    neither = ", neither all codes nor all indices" if several else ""
    others = [n for n in COARSE_NAMES if found.keys() <= set(CoarseLegend.load(n).codes)]
    fits = f"; all values are codes of {', '.join(others)}" if others else ""
    return LegendError(
        found=f"unknown class codes in {file}: {listed_counts(unknown)}{neither}",
        expected=f"{expected} (legend {legend.name}){fits}",
        fix="name the legend that the file has by weak_labels.legend, or declare a value that "
        "means no data, for example with gdal_edit.py -a_nodata 250",
    )


def _described(legend: CoarseLegend, word: CoarseValues, table: Table) -> str:
    return f"{legend.title} {word} {_ranges(list(table))}"


def _ranges(codes: Sequence[int]) -> str:
    """Codes as a message lists them: ``11, 12, 21 to 24``."""
    runs: list[list[int]] = []
    for code in sorted(codes):
        if runs and code == runs[-1][-1] + 1:
            runs[-1].append(code)
        else:
            runs.append([code])
    texts = (
        [f"{run[0]} to {run[-1]}"] if len(run) > 2 else [str(code) for code in run] for run in runs
    )
    return ", ".join(text for part in texts for text in part)


def numbers(
    values: NDArray[np.integer], known: NDArray[np.bool_], table: Table
) -> NDArray[np.uint8]:
    """Numbers of classes of a raster's values.

    Args:
        values: (y, x) integers.
        known: (y, x) pixels that have data.
        table: Of ``reading``; has every value there is.

    Returns:
        (y, x) uint8, 0 = no data.
    """
    keys = np.array(sorted(table), np.int64)
    found = np.array([table[key] for key in keys.tolist()], np.uint8)
    at = np.searchsorted(keys, values).clip(max=len(keys) - 1)
    known = known & (keys[at] == values)
    return np.where(known, found[at], NO_DATA).astype(np.uint8)
