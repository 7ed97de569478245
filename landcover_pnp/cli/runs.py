"""Commands about run folders: how far a run is, going on with it, whether it is whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from landcover_pnp.cli.command import Command, Request
from landcover_pnp.cli.maps import show_map, with_progress
from landcover_pnp.cli.output import complain, say
from landcover_pnp.errors import SettingsError
from landcover_pnp.pipeline.settings import MapSettings, NoSettings
from landcover_pnp.storage.run_folder import RunFolder


def _status(request: Request) -> Any:
    from landcover_pnp.storage.run_status import run_status

    return run_status(request.path)


def _show_status(status: Any) -> None:
    holder = status.holder
    if holder:
        say(f"at work: process {holder.pid} on {holder.host} since {holder.start}")
    elif status.ended is None:
        say(f"broke off without a word; `landcover resume {status.run}` goes on")
    else:
        say(f"ended with exit code {status.ended}")
    say(
        f"{status.total} tiles: {status.kept + status.done} done, {len(status.failed)} failed, "
        f"{status.left} left" + (f"; last stage done: {status.stage}" if status.stage else "")
    )
    if status.seconds_per_tile is not None and status.left:
        left_min = status.left * status.seconds_per_tile / 60
        say(f"{status.seconds_per_tile:.2f} s a tile, about {left_min:.0f} min left for the tiles")
    for name, reason in sorted(status.failed.items()):
        say(f"failed: {name}: {reason}".replace("\n", ";"))
    if status.outdated_corrections:
        say(f"its corrections are of an earlier map: `landcover correct {status.run} EDITS` again")
    if status.outdated_products:
        say(f"products/ shows an earlier map; `landcover publish {status.run}` makes it again")


def _written(run: Path) -> Path:
    """The settings that a map run has written into its folder."""
    written = RunFolder(run).settings
    if not written.is_file():
        raise SettingsError(
            found=f"no settings.json in {run}",
            expected="the folder of a map run that has begun",
            fix=f"start it with `landcover map CONFIG --run {run}`",
        )
    from landcover_pnp.storage.integrity import small_faults

    fault = small_faults(RunFolder(run)).get(written.name)
    if fault is not None:
        raise SettingsError(
            found=f"{written} {fault}",
            expected="the settings by which the run was begun",
            fix=f"repeat `landcover map CONFIG --run {run}`, which writes them again; to map by "
            "other settings, give them to it or to `landcover resume` as options",
        )
    return written


def _resume(request: Request) -> Any:
    from landcover_pnp.pipeline.map import map_city

    return with_progress(lambda report: map_city(request.settings, request.path, report))


def _verify(request: Request) -> Any:
    from landcover_pnp.pipeline.verification import verify_run

    return verify_run(request.path)


def _show_verification(verification: Any) -> None:
    for name, fault in verification.faults.items():
        complain(f"{name} {fault}")
    damaged = len(verification.faults)
    found = f"{damaged} files are damaged" if damaged else "all as written"
    say(f"{verification.files} files, {verification.pixels} pixels read: {found}")
    if damaged:
        say(
            "mend them by the command that made the run; `landcover publish` and "
            "`landcover train-student` mend what they have made"
        )
    elif not verification.finished:
        say(f"the run is not finished; `landcover resume {verification.run}` goes on")


COMMANDS = {
    "status": Command(
        _status,
        NoSettings,
        ("RUN",),
        "Say how far a run is: done, failed, left, speed, time left.",
        show=_show_status,
    ),
    "resume": Command(
        _resume,
        MapSettings,
        ("RUN",),
        "Go on with a run, by the settings in its folder.",
        show=show_map,
        config=_written,
    ),
    "verify": Command(
        _verify,
        NoSettings,
        ("RUN",),
        "Read every pixel of a run's files and compare their hashes.",
        show=_show_verification,
    ),
}
