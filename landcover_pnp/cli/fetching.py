"""Commands that fetch: a place as a scene."""

from __future__ import annotations

from typing import Any

from landcover_pnp.cli.command import Command, Request
from landcover_pnp.cli.output import complain, say
from landcover_pnp.errors import SettingsError
from landcover_pnp.fetch.settings import FetchSettings


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
}
