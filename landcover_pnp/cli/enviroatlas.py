"""The command that fetches the data set of the paper."""

from __future__ import annotations

from typing import Any

from landcover_pnp.cli.command import Command, Request
from landcover_pnp.cli.output import complain, say
from landcover_pnp.fetch.enviroatlas_settings import EnviroAtlasSettings


def _fetch(request: Request) -> Any:
    from landcover_pnp.fetch.enviroatlas import fetch_enviroatlas

    return fetch_enviroatlas(request.settings, complain)


def _show(summary: Any) -> None:
    for name, tiles in summary.tiles.items():
        say(f"{name}: {tiles} tiles")
    say(f"{summary.root}: {summary.unpacked} files unpacked, {summary.kept} kept")
    city, _, split = next(iter(summary.tiles)).rpartition("-")
    say(
        f"in a configuration: scene: {{enviroatlas: {{root: {summary.root}, city: {city}, "
        f"split: {split}, tile: ...}}}}"
    )


COMMANDS = {
    "fetch enviroatlas": Command(
        _fetch,
        EnviroAtlasSettings,
        (),
        "Fetch the data set of the paper, check it and unpack what is asked for.",
        {"config": "YAML file of settings; the options win over it"},
        show=_show,
    ),
}
