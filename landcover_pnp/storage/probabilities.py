"""Class probabilities on disk: one format, one formula each way."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.arrays import normalise
from landcover_pnp.legend import WORKING
from landcover_pnp.storage.geotiff import Band

PROBABILITY_ONE = np.iinfo(np.uint16).max
"""Stored value of probability 1; all classes 0 is no data."""

BAND = Band("uint16", tuple(f"p({name})" for name in WORKING.names), nodata=0)
"""Format of stored probabilities (class, y, x)."""


def encode(p: NDArray[np.float32]) -> NDArray[np.uint16]:
    """(class, y, x) probabilities 0..1 -> stored values, uint16."""
    levels = p * np.float32(PROBABILITY_ONE)
    stored: NDArray[np.uint16] = np.rint(levels, out=levels).astype(np.uint16)
    return stored


def decode(stored: NDArray[Any]) -> NDArray[np.float32]:
    """Stored values (class, y, x) -> probabilities, float32: sum to 1, or all 0 without data."""
    return normalise(stored.astype(np.float32))
