"""Run folders changed after the fact: what publishing must cope with."""

import json
from pathlib import Path

import rasterio


def without_a_tile(run: Path) -> None:
    """Makes it a run of 2 x 2 tiles of 30 px whose upper right tile has failed."""
    summary = json.loads((run / "summary.json").read_text())
    summary["failed_tiles"] = {"r0000c0001": 'no <result> & "no" map'}
    (run / "summary.json").write_text(json.dumps(summary))
    emptied(run, slice(0, 30), slice(30, 60))


def emptied(run: Path, rows: slice, columns: slice) -> None:
    """Takes the probabilities of some pixels away."""
    for path in (run / "probabilities").glob("*.tif"):
        with rasterio.open(path, "r+") as target:
            pixels = target.read()
            pixels[:, rows, columns] = 0
            target.write(pixels)
