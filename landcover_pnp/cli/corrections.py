"""The command that corrects a map by what its user has drawn."""

from __future__ import annotations

import shlex
from typing import Any

from landcover_pnp.cli.command import Command, Request
from landcover_pnp.cli.maps import with_progress
from landcover_pnp.cli.output import complain, say
from landcover_pnp.errors import SettingsError
from landcover_pnp.pipeline.correction_settings import CorrectSettings
from landcover_pnp.storage.run_folder import RunFolder
from landcover_pnp.storage.user_files import require_file


def _correct(request: Request) -> Any:
    run, *edits = request.arguments
    expected = "the folder of a run that `landcover map` has finished"
    require_file(RunFolder(run).landcover, "the map of the run", expected)
    undo = "undo" in request.flags
    if undo == bool(edits):
        raise SettingsError(
            found="EDITS and --undo" if undo else "no EDITS",
            expected="either a vector file of edits or --undo",
            fix="name the file that holds all edits of the map, or go back to the map without any",
        )
    from landcover_pnp.pipeline.correct import correct_run, undo_correction

    if undo:
        return undo_correction(run)
    return with_progress(lambda report: correct_run(run, edits[0], request.settings, report=report))


def _show(summary: Any) -> None:
    if not summary.edits:
        publish = shlex.join(["landcover", "publish", str(summary.run)])
        say(f"the map of {summary.run} is its own again\n{summary.landcover}")
        if RunFolder(summary.run).products.is_dir():
            say(f"its products stay as they are until they are made again: {publish}")
        return
    for name, reason in summary.failed.items():
        complain(f"tile {name} stays as it was: {reason}")
    for note in summary.notes:
        say(note)
    told = ", ".join(f"{count} {name}" for name, count in summary.edits.items())
    say(
        f"{told}: {summary.corrected_ha:,.2f} ha corrected by hand; around them "
        f"{summary.changed_ha:,.2f} ha changed their class, "
        f"{f'{summary.filled_ha:,.2f} ha were completed by the prior, ' * bool(summary.filled_ha)}"
        f"in {summary.seconds:.0f} s"
    )
    if summary.scores:
        from landcover_pnp.evaluation.scores import short_table

        say("\n" + short_table(summary.scores) + "\n")
    compare, publish, undo = (
        shlex.join(["landcover", *words])
        for words in (
            ("compare", str(summary.run)),
            ("publish", str(summary.run)),
            ("correct", str(summary.run), "--undo"),
        )
    )
    say(f"landcover    {summary.landcover}")
    say(f"what changed: {compare}\nfor QGIS, and a report: {publish}\nto go back: {undo}")


COMMANDS = {
    "correct": Command(
        _correct,
        CorrectSettings,
        ("RUN", "[EDITS]"),
        "Correct a map by polygons or points drawn on it; the run keeps both maps.",
        flags={
            "undo": "go back to the map without edits",
        },
        show=_show,
    ),
}
