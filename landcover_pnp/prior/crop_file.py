"""Crops of label maps in one compact file, and what is checked before one is learned from.

Numpy alone, so that it is read on a bare machine.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.errors import PriorError
from landcover_pnp.legend import WORKING
from landcover_pnp.storage.atomic import completed

_ARRAYS = ("codes", "held_out", "card")
_FIX = "cut the crops again with `landcover cut-crops`"


@dataclass(frozen=True, eq=False)
class CropFile:
    """Crops to learn from and crops held out, of different ground.

    Attributes:
        codes: (crop, y, x) uint8 of the working legend, 0 = unlabelled: does not count.
        held_out: The same, of held-out maps.
        resolution_m: Pixel side, metres.
        origin: What they were cut from, as JSON; for people and for the card of the prior.
    """

    codes: NDArray[np.uint8]
    held_out: NDArray[np.uint8]
    resolution_m: float
    origin: Mapping[str, Any] = field(default_factory=dict)

    @property
    def crop_px(self) -> int:
        """Side of the crops, pixels."""
        return int(self.codes.shape[-1])

    @staticmethod
    def is_one(path: Path) -> bool:
        """Whether a file is one of crops, by the names of what it holds."""
        try:
            with zipfile.ZipFile(path) as archive:
                return set(archive.namelist()) == {f"{name}.npy" for name in _ARRAYS}
        except (OSError, zipfile.BadZipFile):
            return False

    def write(self, path: Path) -> None:
        """Writes the file; the same crops give the same bytes."""
        card = {
            "legend": {"name": WORKING.name, "classes": ["no data", *WORKING.names]},
            "resolution_m": self.resolution_m,
            "origin": self.origin,
        }
        packed = io.BytesIO()
        np.savez_compressed(
            packed, codes=self.codes, held_out=self.held_out, card=np.array(json.dumps(card))
        )
        with completed(path) as partial:
            partial.write_bytes(packed.getvalue())

    @classmethod
    def read(cls, path: Path) -> CropFile:
        """Reads a file that ``write`` wrote; nothing in it is executed.

        Raises:
            PriorError: If there is no such file, it is damaged or something else, holds no
                crops or codes of no class, or was cut for another legend.
        """
        if not path.is_file():
            raise PriorError(found=f"no file {path}", expected="a file of crops", fix=_FIX)
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
                codes, held_out, card = (arrays[name] for name in _ARRAYS)
            told = json.loads(str(card))
            legend, resolution_m = told["legend"], float(told["resolution_m"])
            origin = dict(told["origin"])
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise PriorError(
                found=f"{path} is damaged, or no file of crops: {error}",
                expected="what `landcover cut-crops` writes: " + ", ".join(_ARRAYS),
                fix=_FIX,
            ) from error
        if legend != {"name": WORKING.name, "classes": ["no data", *WORKING.names]}:
            raise PriorError(
                found=f"{path} has crops of the legend {legend}",
                expected=f"the legend {WORKING.name!r}: {', '.join(WORKING.names)}",
                fix=_FIX,
            )
        for name, crops in (("codes", codes), ("held_out", held_out)):
            _require_crops(path, name, crops, codes.shape[1:])
        return cls(codes, held_out, resolution_m, origin)


def _require_crops(path: Path, name: str, crops: NDArray[Any], shape: tuple[int, ...]) -> None:
    """Refuses what are no square crops of one size with labels."""
    expected = "(crop, y, x) uint8, square, of one size"
    square = crops.ndim == 3 and crops.shape[1:] == shape and shape[0] == shape[1] > 0
    if crops.dtype != np.uint8 or not square:
        found = f"{name} in {path} is {crops.shape} {crops.dtype}"
        raise PriorError(found=found, expected=expected, fix=_FIX)
    if not crops.any():
        raise PriorError(
            found=f"{name} in {path} has {len(crops)} crops and no label",
            expected="crops with labels, to learn from and held out",
            fix=_FIX,
        )
    strange = sorted(set(np.unique(crops).tolist()) - {0, *WORKING.codes})
    if strange:
        raise PriorError(
            found=f"{name} in {path} has the codes {strange}",
            expected=f"classes {', '.join(map(str, WORKING.codes))}, or 0 for unlabelled",
            fix=_FIX,
        )
