"""The verify stage: every file of a run read and compared with the hash in its record."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rasterio.errors import NotGeoreferencedWarning

from landcover_pnp.errors import LandcoverError, RequestError
from landcover_pnp.grid import Box, blocks
from landcover_pnp.storage.raster import open_raster, read
from landcover_pnp.storage.records import Record, file_hash


@dataclass(frozen=True)
class Verification:
    """What was found in a run folder.

    Attributes:
        run: The run folder.
        files: Number of files compared.
        pixels: Number of pixels read, all bands of a pixel counted as one.
        faults: What is wrong, by the file's name; empty if all is well.
    """

    run: Path
    files: int
    pixels: int
    faults: dict[str, str]

    @property
    def exit_code(self) -> int:
        """0 if all is well, 1 if not."""
        return 1 if self.faults else 0


def verify_run(run: Path) -> Verification:
    """Reads every pixel of every raster of a run and compares every file with its hash.

    Args:
        run: The run folder; nothing in it is changed.

    Returns:
        What was found.

    Raises:
        RequestError: If the folder holds no records.
    """
    files = pixels = 0
    faults: dict[str, str] = {}
    for path, expected in _recorded(run):
        files += 1
        name = path.relative_to(run).as_posix()
        if not path.is_file():
            faults[name] = "missing"
            continue
        try:
            pixels += _read_all(path) if path.suffix == ".tif" else 0
        except LandcoverError as error:
            faults[name] = error.found
            continue
        found = file_hash(path)
        if found != expected:
            faults[name] = f"sha256 is {found}, expected {expected}: changed since it was written"
    if not files:
        raise RequestError(
            found=f"no records of finished work in {run}",
            expected="the folder of a map run",
            fix="name the folder that `landcover map --run` was given",
        )
    return Verification(run, files, pixels, faults)


def _recorded(run: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(run.glob("**/*.json")):
        record = Record.read(path)
        for name, expected in sorted(record.files.items()) if record else ():
            yield path.parent / name, expected


def _read_all(path: Path) -> int:
    with warnings.catch_warnings():
        # a file cut short loses its place on the earth first; its pixels tell
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with open_raster(path, "raster of the run") as source:
            for box in blocks(Box(0, source.height, 0, source.width)):
                read(source, source.indexes, box)
            return int(source.height * source.width)
