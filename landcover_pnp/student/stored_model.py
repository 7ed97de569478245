"""The student on disk: plain arrays and what they are of; nothing in the file is ever executed.

One safetensors file holds the arrays of either model, and as JSON in its header the settings and
the image that they are for. The format is read without unpacking or running anything, and its
reader compares all lengths with the file's before it reads an array.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from landcover_pnp.config import plain
from landcover_pnp.errors import ModelError
from landcover_pnp.evidence.index_borders import Border, IndexBorders
from landcover_pnp.evidence.index_values import INDICES
from landcover_pnp.legend import CLASS_COUNT, WORKING
from landcover_pnp.storage.atomic import completed
from landcover_pnp.student.settings import StudentSettings
from landcover_pnp.student.training import ImageKind, Round, Student, image_model

FORMAT = 2
"""Version of the file's layout."""

_ABOUT = "student"  # the header's one key: the order of several would change from file to file
_SHARE = "share"
_MODEL = "model."
_SUM_TOLERANCE = 1e-3


def save_student(path: Path, student: Student, settings: StudentSettings) -> None:
    """Writes a student; the same one gives the same bytes.

    Args:
        path: File to write.
        student: The student.
        settings: What it was trained by.

    Raises:
        DiskFullError: If there is no room for it.
    """
    about = {
        **_made_for(student.image, settings),
        "borders": None if student.borders is None else dataclasses.asdict(student.borders),
        "rounds": [dataclasses.asdict(r) for r in student.rounds],
    }
    arrays = {_MODEL + name: array for name, array in student.model.arrays().items()}
    content = safetensors.numpy.save(
        {**arrays, _SHARE: student.share}, {_ABOUT: json.dumps(about, sort_keys=True)}
    )
    with completed(path) as partial:
        partial.write_bytes(content)


def open_student(content: bytes, name: str, image: ImageKind, settings: StudentSettings) -> Student:
    """Opens a student, with every check that can be made before it is used.

    Args:
        content: Bytes of a file that ``save_student`` wrote, or anybody else.
        name: Name of the file for messages.
        image: Kind of the images it is going to see.
        settings: What the student was trained by.

    Returns:
        The student.

    Raises:
        ModelError: If the bytes are no such file, or one of other settings, another image or
            legend, or if its arrays are no model: of wrong names, types, shapes or ranges.
    """
    model = image_model(settings, image)
    try:
        arrays = safetensors.numpy.load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        about = json.loads(header["__metadata__"][_ABOUT])
        made_for = _made_for(image, settings)
        other = [key for key, value in made_for.items() if about[key] != value]
        if other:
            raise ValueError(f"it is of another {', '.join(other)}")
        borders = _borders(about["borders"], image)
        rounds = tuple(Round(**r) for r in about["rounds"])
        if not all(np.isfinite([r.changed, r.agreement]).all() for r in rounds):
            raise ValueError("rounds with figures that are no numbers")
        share = _share(arrays.pop(_SHARE))
        model.restore({key.removeprefix(_MODEL): array for key, array in arrays.items()})
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        what = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(
            found=f"{name} is not the student of these settings and this image, or is damaged: "
            + what,
            expected="plain arrays of a student, as `landcover map` writes them",
            fix="repeat `landcover map` with this run folder: the student is trained again",
        ) from error
    return Student(image, model, share, borders, settings.teacher, rounds)


def _made_for(image: ImageKind, settings: StudentSettings) -> dict[str, Any]:
    """What a stored student must have in common with the run that opens it."""
    return {
        "format": FORMAT,
        "legend": list(WORKING.names),
        "image": image._asdict(),
        "settings": plain(settings),
    }


def _borders(told: dict[str, Any] | None, image: ImageKind) -> IndexBorders | None:
    if told is None:
        return None
    found = {name: None if told[name] is None else Border(**told[name]) for name in INDICES}
    for border in filter(None, found.values()):
        if not (-1 <= border.middle <= 1 and 0 < border.slope < np.inf):
            raise ValueError(f"no such border of an index: {border}")
    bands, notes = (tuple(map(str, told[name])) for name in ("bands", "notes"))
    if len(bands) != image.bands or set(told) != {*INDICES, "bands", "notes"}:
        raise ValueError(f"no borders of an image of {image.bands} bands: {told}")
    return IndexBorders(bands, **found, notes=notes)


def _share(share: NDArray[Any]) -> NDArray[np.float32]:
    if share.dtype != np.float32 or share.shape != (CLASS_COUNT,):
        raise ValueError(f"class shares are {share.dtype} {share.shape}")
    if not (np.isfinite(share).all() and (share >= 0).all() and share.sum() <= 1 + _SUM_TOLERANCE):
        raise ValueError("class shares that are none")
    return np.asarray(share)
