"""Widths of roads and streams as their files give them: numbers, or texts with a unit."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

COLUMN = "width_m"
"""Attribute of a vector file that gives the width of its lines and points."""

_FOOT_M = 0.3048
_METRES = {
    **dict.fromkeys(("", "m", "metre", "metres", "meter", "meters"), 1.0),
    **dict.fromkeys(("cm", "centimetre", "centimetres", "centimeter", "centimeters"), 0.01),
    **dict.fromkeys(("km", "kilometre", "kilometres", "kilometer", "kilometers"), 1000.0),
    **dict.fromkeys(("ft", "foot", "feet", "'"), _FOOT_M),
    **dict.fromkeys(("in", "inch", "inches", '"'), _FOOT_M / 12),
    **dict.fromkeys(("yd", "yard", "yards"), 3 * _FOOT_M),
    **dict.fromkeys(("mi", "mile", "miles"), 5280 * _FOOT_M),
}
_PRIMES = str.maketrans({"′": "'", "’": "'", "‘": "'", "″": '"', "”": '"', "“": '"'})
_NUMBER = r"(\d+(?:[.,]\d+)?|[.,]\d+)"
_ONE = re.compile(rf"\+?{_NUMBER}\s*([a-z]*|'|\")\.?")
_FEET_AND_INCHES = re.compile(
    rf"{_NUMBER}\s*(?:'|ft|foot|feet)\s*{_NUMBER}\s*(?:\"|in|inch|inches)"
)
_THOUSANDS = re.compile(r"\d{1,3},\d{3}")
"""One thousand and more, or one and a bit: it cannot be told."""


class Widths(NamedTuple):
    """Widths of objects.

    Attributes:
        metres: (object,) float64 full width, NaN where none is given or it cannot be read.
        unread: What cannot be read as a width, in the objects' order.
    """

    metres: NDArray[np.float64]
    unread: tuple[str, ...]


def read_widths(values: Iterable[Any]) -> Widths:
    """Reads widths.

    Args:
        values: Numbers in metres, or texts such as ``24 ft``, ``12,5`` or ``7'6"``; nothing
            where a width is not given.

    Returns:
        The widths.
    """
    metres, unread = [], []
    for value in values:
        given = not (pd.isna(value) or (isinstance(value, str) and not value.strip()))
        width = _width_m(value) if given else None
        metres.append(np.nan if width is None else width)
        if given and width is None:
            unread.append(str(value))
    return Widths(np.array(metres, np.float64), tuple(unread))


def _width_m(value: Any) -> float | None:
    """A width in metres; None where it is none."""
    if isinstance(value, (bool, np.bool_)):
        return None
    if isinstance(value, str):
        metres = _parsed(value.translate(_PRIMES).replace("''", '"').strip().casefold())
    else:
        try:
            metres = float(value)
        except (TypeError, ValueError):
            return None
    return metres if metres is not None and 0 < metres < np.inf else None


def _parsed(text: str) -> float | None:
    if _THOUSANDS.match(text):
        return None
    both = _FEET_AND_INCHES.fullmatch(text)
    if both:
        return (_number(both[1]) + _number(both[2]) / 12) * _FOOT_M
    one = _ONE.fullmatch(text)
    unit = _METRES.get(one[2]) if one else None
    return None if one is None or unit is None else _number(one[1]) * unit


def _number(text: str) -> float:
    return float(text.replace(",", "."))
