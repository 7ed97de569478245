"""Run folders changed after the fact: what publishing must cope with."""

import dataclasses
import json
from pathlib import Path

import rasterio

from landcover_pnp.storage.journal import Journal
from landcover_pnp.storage.records import Record, file_hashes


def without_a_tile(run: Path) -> None:
    """Makes it a run of 2 x 2 tiles of 30 px whose upper right tile has failed."""
    summary = json.loads((run / "summary.json").read_text())
    summary["failed_tiles"] = {"r0000c0001": 'no <result> & "no" map'}
    (run / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    emptied(run, slice(0, 30), slice(30, 60))


def emptied(run: Path, rows: slice, columns: slice) -> None:
    """Takes the probabilities of some pixels away."""
    for path in (run / "probabilities").glob("*.tif"):
        with rasterio.open(path, "r+") as target:
            pixels = target.read()
            pixels[:, rows, columns] = 0
            target.write(pixels)
    vouch_for(run)


def vouch_for(run: Path) -> None:
    """Lets records and journal say that all is as it was written."""
    for name in ("scene/record", "probabilities/record", "probabilities/doubt", "products"):
        path = run / f"{name}.json"
        record = Record.read(path)
        assert record is not None
        files = file_hashes(path.parent, [path.parent / name for name in record.files])
        dataclasses.replace(record, files=files).write(path)
    summary = json.loads((run / "summary.json").read_text())
    journal = Journal(run)
    assert journal.last_result is not None
    journal.write("end", exit_code=0, summary=summary, files=journal.last_result["files"])
