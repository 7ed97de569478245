"""Commands that fetch: a place as a scene."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from landcover_pnp.cli.command import Command, Request, itself
from landcover_pnp.cli.output import complain, say
from landcover_pnp.errors import SettingsError
from landcover_pnp.fetch.settings import FetchSettings
from landcover_pnp.pipeline.settings import MapSettings


def require_extra(command: str) -> None:
    """Refuses a command whose packages are not installed.

    Raises:
        SettingsError: Says which, and how to install them.
    """
    from importlib.util import find_spec

    missing = [name for name in ("pystac_client", "pyarrow", "osmium") if find_spec(name) is None]
    if missing:
        raise SettingsError(
            found=f"`landcover {command}` needs packages that are not installed: "
            + ", ".join(missing),
            expected="the extra `fetch`",
            fix="pip install 'landcover-pnp[fetch]'",
        )


def place_of(request: Request) -> str | None:
    """The name of a place among the arguments."""
    return str(request.arguments[0]) if request.arguments else None


def _fetch_place(request: Request) -> Any:
    require_extra("fetch place")
    from landcover_pnp.fetch.place import fetch_place

    yes = "yes" in request.flags
    return fetch_place(request.settings, place_of(request), yes=yes, report=complain)


def _plan_place(request: Request) -> Any:
    require_extra("plan place")
    from landcover_pnp.fetch.plan import area_of, plan_fetch
    from landcover_pnp.pipeline.forecast import forecast, profile_settings, run_bytes

    settings = request.settings
    plan = plan_fetch(settings, area_of(settings, place_of(request)))
    wanted = profile_settings(settings.profile, settings.resolution_m)
    parts = [image.part for images in plan.images.values() for image in images]
    finest_m = min(part.res_m for part in parts)
    return forecast(
        wanted,
        request.options["runs"] or Path("runs"),
        area_km2=plan.area.km2,
        images=len(parts),
        read_bytes=plan.read_bytes,
        disk_bytes=plan.written_bytes + run_bytes(wanted, plan.area.km2, finest_m),
        notes=plan.notes,
    )


def _plan_map(request: Request) -> Any:
    from landcover_pnp.pipeline.forecast import forecast_map

    return forecast_map(request.settings, request.options["runs"] or Path("runs"))


def _show_forecast(found: Any) -> None:
    for note in found.notes:
        say(note)
    several = f"{found.processes} process{'es' * (found.processes != 1)}"
    say(f"area         {found.area_km2:,.2f} km2, {found.images} images")
    say(f"to read      {found.read_gb:,.3f} GB")
    say(f"on disk      {found.disk_gb:,.3f} GB")
    say(f"to map       {found.hours:,.2f} hours with {several} of this machine")
    speed = found.throughput
    say(f"             {speed.seconds_per_km2:,.0f} s a km2 and process, measured {speed.measured}")


def _show_fetched(summary: Any) -> None:
    for note in summary.notes:
        say(note)
    say(
        f"{summary.folder}: {summary.area_km2:,.2f} km2, {summary.images} images; "
        f"{summary.made} parts fetched, {summary.kept} kept"
    )
    for line in summary.attribution:
        say(f"  {line}")
    for preview in summary.previews:
        say(f"picture: {preview}")
    if len(summary.configs) > 1:
        say(f"{len(summary.configs)} grids, and so {len(summary.configs)} maps")
    say(f"next:    {summary.command}")


RUNS = {"runs": "folder of finished runs, whose speed tells how long a map takes (default: runs)"}

COMMANDS = {
    "fetch place": Command(
        _fetch_place,
        FetchSettings,
        ("[PLACE]",),
        "Fetch imagery, coarse map, roads, buildings and water of a place, ready to map.",
        {"config": "YAML file of settings for many places; the options win over it"},
        {"yes": "fetch more than the limits allow"},
        show=_show_fetched,
        kind=str,
    ),
    "plan place": Command(
        _plan_place,
        FetchSettings,
        ("[PLACE]",),
        "Say what `fetch place` would fetch and its map would take; no pixel is fetched.",
        {"config": "YAML file of settings for many places; the options win over it", **RUNS},
        show=_show_forecast,
        kind=str,
    ),
    "plan map": Command(
        _plan_map,
        MapSettings,
        ("CONFIG",),
        "Say what the map of a configuration would take.",
        RUNS,
        show=_show_forecast,
        config=itself,
    ),
}
