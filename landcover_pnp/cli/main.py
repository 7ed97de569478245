"""The way of a command: its words in, its exit code out."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from landcover_pnp.cli import maps, priors, publishing, runs, transfer
from landcover_pnp.cli.command import Command, complain, say
from landcover_pnp.errors import LandcoverError, LandcoverWarning, SettingsError, nearest
from landcover_pnp.interruption import ended_by_signals, exit_code, how_to_resume
from landcover_pnp.version import __version__

HELP = re.compile(r"-h|--((?P<block>.+)\.)?help")
"""A word that asks for help on a command, or on a block of its settings."""


def main(words: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        words: Command-line words without the program's name; None takes the process's own.

    Returns:
        Exit code: 0 done, 1 failed, 2 bad request, 3 partly done, 130 interrupted by Ctrl-C, 143 by
        SIGTERM, 129 by SIGHUP.
    """
    name, *rest = list(sys.argv[1:] if words is None else words) or ["--help"]
    if name in ("-h", "--help"):
        say(_overview())
        return 0
    if name == "--version":
        say(f"landcover-pnp {__version__}")
        return 0
    command = COMMANDS.get(name)
    strict = "--strict" in rest
    try:
        if command is None:
            raise SettingsError(
                found=f"unknown command {name!r}",
                expected="one of " + ", ".join(COMMANDS),
                fix=nearest(name, COMMANDS),
            )
        for asked in filter(None, map(HELP.fullmatch, rest)):
            say(command.help(name, asked["block"]))
            return 0
        with ended_by_signals(), warnings.catch_warnings():
            warnings.showwarning = _show_warning
            warnings.simplefilter("error" if strict else "always", LandcoverWarning)
            return command.run([word for word in rest if word != "--strict"])
    except LandcoverError as error:
        complain(f"landcover {name}: {error}")
        return error.exit_code
    except LandcoverWarning as warning:
        complain(f"landcover {name}: {warning} (a warning, and --strict was given)")
        return SettingsError.exit_code
    except KeyboardInterrupt as stop:
        complain(how_to_resume(stop, [name, *rest]))
        return exit_code(stop)


COMMANDS: dict[str, Command] = {
    **maps.COMMANDS,
    **runs.COMMANDS,
    **publishing.COMMANDS,
    **transfer.COMMANDS,
    **priors.COMMANDS,
}


def _overview() -> str:
    lines = [f"  {name:<14}{command.summary}" for name, command in COMMANDS.items()]
    return (
        "usage: landcover COMMAND ...\n\n"
        "Land-cover maps of whole cities from aerial imagery and coarse public labels.\n\n"
        + "\n".join(lines)
        + "\n\n`landcover COMMAND --help` lists a command's options."
    )


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    complain(f"warning: {message}")
