"""Commands about run folders: how far a run is, going on with it, whether it is whole."""

from __future__ import annotations

from pathlib import Path

from landcover_pnp.cli.command import Command, arguments, complain, given, say
from landcover_pnp.config import load_settings
from landcover_pnp.errors import SettingsError
from landcover_pnp.pipeline.settings import MapSettings, NoSettings
from landcover_pnp.storage.run_folder import RunFolder


def _status(words: list[str]) -> int:
    (run,), _ = given("RUN", words, NoSettings)
    from landcover_pnp.storage.journal import run_status

    status = run_status(run)
    holder = status.holder
    if holder:
        say(f"at work: process {holder.pid} on {holder.host} since {holder.start}")
    elif status.ended is None:
        say(f"broke off without a word; `landcover resume {run}` goes on")
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
    return 0


def _resume(words: list[str]) -> int:
    run, _, rest = arguments("RUN", words)
    written = RunFolder(Path(run)).settings
    if not written.is_file():
        raise SettingsError(
            found=f"no settings.json in {run}",
            expected="the folder of a map run that has begun",
            fix="start it with `landcover map CONFIG --run " + run + "`",
        )
    settings = load_settings(MapSettings, written, rest)
    from landcover_pnp.cli.maps import show_map
    from landcover_pnp.pipeline.map import map_city

    return show_map(lambda report: map_city(settings, Path(run), report))


def _verify(words: list[str]) -> int:
    (run,), _ = given("RUN", words, NoSettings)
    from landcover_pnp.storage.verification import verify_run

    verification = verify_run(run)
    for name, fault in verification.faults.items():
        complain(f"{name}: {fault}")
    say(
        f"{verification.files} files, {verification.pixels} pixels read: "
        + (
            f"{len(verification.faults)} files are damaged"
            if verification.faults
            else "all as written"
        )
    )
    return verification.exit_code


COMMANDS = {
    "status": Command(
        _status, NoSettings, "RUN", "Say how far a run is: done, failed, left, speed, time left."
    ),
    "resume": Command(
        _resume, MapSettings, "RUN", "Go on with a run, by the settings in its folder."
    ),
    "verify": Command(
        _verify, NoSettings, "RUN", "Read every pixel of a run's files and compare their hashes."
    ),
}
