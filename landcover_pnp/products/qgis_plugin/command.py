"""The installed command `landcover`: where it is, and how it is run, watched and cancelled."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

RECORD = Path(__file__).with_name("command.json")
"""Words of the command that installed the plugin, written by it."""

LOOK_S = 0.3
"""Time between looks at the progress, and whether the user has cancelled."""

LEAVE_S = 60.0
"""Time for an interrupted command to leave everything in order."""

_OF_QGIS = ("PYTHON", "GDAL_", "PROJ_", "QGIS_", "QT_", "OSGEO4W_", "LD_LIBRARY_PATH")
"""Beginnings of the variables that QGIS sets for its own Python and GDAL."""


class Feedback(Protocol):
    """What Processing shows of an algorithm: the part of ``QgsProcessingFeedback`` used here."""

    def pushInfo(self, text: str) -> None:
        """Shows a line."""

    def setProgress(self, percent: float) -> None:
        """Shows how far it is."""

    def isCanceled(self) -> bool:
        """Whether the user has cancelled."""


class CommandError(Exception):
    """The command is not there, failed or was cancelled."""


def command() -> list[str]:
    """Words that start the command: those that installed the plugin, else what PATH has.

    Raises:
        CommandError: If there is neither; says how to install it.
    """
    try:
        recorded = [str(word) for word in json.loads(RECORD.read_text(encoding="utf-8"))]
    except (OSError, ValueError):
        recorded = []
    if recorded and Path(recorded[0]).is_file():
        return recorded
    found = shutil.which("landcover")
    if found:
        return [found]
    raise CommandError(
        "The command landcover is not installed"
        + (f" ({recorded[0]} is gone)." if recorded else ".")
        + " Install it in an environment of its own, for example with `pipx install "
        "landcover-pnp`, then run `landcover qgis-plugin` there once and start QGIS again."
    )


def run(words: Sequence[str], feedback: Feedback, run_folder: Path | None = None) -> None:
    """Runs the command to its end; cancelling interrupts it as Ctrl-C does.

    Args:
        words: What follows `landcover`.
        feedback: Where its output and progress are shown.
        run_folder: Run whose journal tells the progress.

    Raises:
        CommandError: If the command is not there, ends with an error, or was cancelled.
    """
    start = time.time()
    lines = list[str]()
    shown, cancelled = 0, False
    with subprocess.Popen(
        [*command(), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env=_environment(os.environ),
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    ) as process:
        reader = threading.Thread(target=_read, args=(process, lines.append), daemon=True)
        reader.start()
        while process.poll() is None:
            if feedback.isCanceled() and not cancelled:
                cancelled = True
                _cancel(process)
            shown = _show(lines, shown, feedback)
            if run_folder is not None:
                feedback.setProgress(progress(run_folder / "journal.jsonl", start))
            time.sleep(LOOK_S)
        reader.join()
    _show(lines, shown, feedback)
    if cancelled:
        raise CommandError("Cancelled; what is finished is kept, and the same again goes on.")
    if process.returncode not in (0, 3):  # 3: some tiles failed, and the map says which
        raise CommandError("\n".join(lines[-8:]) or f"landcover ended with {process.returncode}")


def progress(journal: Path, since_s: float) -> float:
    """How far a map run is, in percent of its tiles.

    Args:
        journal: The run's journal.
        since_s: When this process began, seconds since 1970: an older journal tells nothing.
    """
    try:
        if journal.stat().st_mtime < since_s:
            return 0.0
        lines = journal.read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    total = done = 0
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:  # half a line, which is being written
            continue
        if entry.get("event") == "tiles":
            total, done = entry["total"], entry["kept"]
        elif entry.get("event") == "tile":
            done += 1
    return 100.0 * min(done / total, 1.0) if total else 0.0


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    """The environment without what QGIS has set for itself: the command has its own GDAL."""
    return {k: v for k, v in ours.items() if not k.startswith(_OF_QGIS)}


def _read(process: subprocess.Popen[str], keep: Callable[[str], None]) -> None:
    for line in process.stdout or ():
        keep(line.rstrip("\n"))


def _show(lines: Sequence[str], shown: int, feedback: Feedback) -> int:
    """Shows the lines that are new; returns how many there have been."""
    count = len(lines)
    for line in lines[shown:count]:
        feedback.pushInfo(line)
    return count


def _cancel(process: subprocess.Popen[str]) -> None:
    """Interrupts the command, twice where tiles are at work: then it stops at once."""
    number = getattr(signal, "CTRL_BREAK_EVENT", signal.SIGINT)  # the first is Windows'
    for _ in range(2):
        process.send_signal(number)
        try:
            process.wait(1.0)
            return
        except subprocess.TimeoutExpired:
            continue
    try:
        process.wait(LEAVE_S)
    except subprocess.TimeoutExpired:
        process.kill()
