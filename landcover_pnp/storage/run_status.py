"""How far a run is, as read from its journal."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from landcover_pnp.errors import RequestError
from landcover_pnp.storage.journal import NAME, Journal
from landcover_pnp.storage.lock import Owner, owner
from landcover_pnp.storage.newest import has_outdated_corrections, newest_summary
from landcover_pnp.storage.records import Record, fingerprint
from landcover_pnp.storage.run_folder import RunFolder


@dataclass
class RunStatus:
    """How far a run is.

    Attributes:
        run: The run folder.
        total: Tiles of the map; 0 while the scene is being prepared.
        kept: Tiles that were there when the last process began.
        done: Tiles this process has inferred.
        failed: Reason by name of each tile it could not infer.
        stage: What was done last.
        ended: Exit code of the last process, None if it never came to its end.
        seconds_per_tile: Time a tile takes with all workers at work, None before the first.
        holder: The process at work, None if there is none.
        outdated_products: Whether the published products show an earlier map of the run.
        outdated_corrections: Whether the corrections are of an earlier map of the run.
    """

    run: Path
    total: int = 0
    kept: int = 0
    done: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    stage: str = ""
    ended: int | None = None
    seconds_per_tile: float | None = None
    holder: Owner | None = None
    outdated_products: bool = False
    outdated_corrections: bool = False

    @property
    def left(self) -> int:
        """Tiles neither there nor failed."""
        return self.total - self.kept - self.done - len(self.failed)


def run_status(run: Path) -> RunStatus:
    """Reads from a run's journal how far it is; a run at work is not disturbed.

    Args:
        run: The run folder.

    Raises:
        RequestError: If the folder holds no journal.
    """
    if not (run / NAME).is_file():
        raise RequestError(
            found=f"no {NAME} in {run}",
            expected="the folder of a map run",
            fix="name the folder that `landcover map --run` was given",
        )
    status = RunStatus(run)
    first_tile = last_tile = None
    for line in Journal(run).events():
        event = line["event"]
        if event == "start":
            status = RunStatus(run)
        elif event == "tiles":
            # A student passes over the tiles once more, without those that failed before.
            status.total, status.kept = line["total"] + len(status.failed), line["kept"]
            status.done = 0
            first_tile, last_tile = datetime.fromisoformat(line["time"]), None
        elif event == "tile":
            last_tile = datetime.fromisoformat(line["time"])
            if line["status"] == "done":
                status.done += 1
            else:
                status.failed[line["tile"]] = line["reason"]
        elif event == "stage":
            status.stage = line["stage"]
        elif event == "end":
            status.ended = line["exit_code"]
    finished = status.done + len(status.failed)
    if finished and first_tile and last_tile:
        status.seconds_per_tile = (last_tile - first_tile).total_seconds() / finished
    status.holder = owner(run)
    status.outdated_products = outdated_products(run)
    status.outdated_corrections = has_outdated_corrections(RunFolder(run))
    return status


def outdated_products(run: Path) -> bool:
    """Whether a run was published, and its map was made again since.

    Args:
        run: The run folder.
    """
    paths = RunFolder(run)
    published, summary = Record.read(paths.published_record), newest_summary(paths)
    if published is None or summary is None:
        return False
    return published.ingredients.get("summary") != fingerprint(summary)
