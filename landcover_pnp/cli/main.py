"""The way of a command: its words in, its answer out, its exit code."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from landcover_pnp.cli import (
    accuracy,
    completion,
    corrections,
    enviroatlas,
    fetching,
    maps,
    priors,
    publishing,
    runs,
    transfer,
)
from landcover_pnp.cli.command import Command
from landcover_pnp.cli.output import complain, error_fields, json_of, say_json, stdout_kept_clean
from landcover_pnp.cli.program import Program, command_of, spelled_out
from landcover_pnp.config.parser import HELP, before_dashes
from landcover_pnp.errors import LandcoverError, LandcoverWarning, RunError, SettingsError
from landcover_pnp.interruption import ended_by_signals, exit_code, how_to_resume

COMMANDS: dict[str, Command] = {
    **fetching.COMMANDS,
    **enviroatlas.COMMANDS,
    **maps.COMMANDS,
    **runs.COMMANDS,
    **publishing.COMMANDS,
    **accuracy.COMMANDS,
    **corrections.COMMANDS,
    **transfer.COMMANDS,
    **priors.COMMANDS,
    **completion.COMMANDS,
}


class StoppedError(LandcoverError):
    """A signal has ended the command; what is finished stays.

    Args:
        stop: What the signal has raised.
        words: The command's words.
    """

    def __init__(self, stop: KeyboardInterrupt, words: Sequence[str]) -> None:
        text = how_to_resume(stop, words)
        super().__init__(text, "an end of its own", "give the same command again")
        self.exit_code = exit_code(stop)


def main(words: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        words: Command-line words without the program's name; None takes the process's own.

    Returns:
        Exit code: 0 done, 1 failed, 2 bad request, 3 partly done, 130 interrupted by Ctrl-C, 143 by
        SIGTERM, 129 by SIGHUP.
    """
    given = spelled_out(sys.argv[1:] if words is None else words, COMMANDS) or ["--help"]
    flags, name = before_dashes(given), command_of(given, COMMANDS)
    as_json = "--json" in flags and not any(map(HELP.fullmatch, flags))
    try:
        with ended_by_signals(), _shown_warnings(strict="--strict" in flags):
            with stdout_kept_clean() if as_json else contextlib.nullcontext():
                request = Program(COMMANDS, {name}).understood(given)
                answer = COMMANDS[name].run(request)
            code = int(getattr(answer, "exit_code", 0))
            if as_json:
                say_json({"command": name, "exit_code": code, **json_of(answer)})
            else:
                COMMANDS[name].show(answer)
        return code
    except SystemExit as done:  # help or the version, printed
        return int(done.code or 0)
    except LandcoverError as error:
        failure = error
    except LandcoverWarning as warning:
        failure = SettingsError(
            found=f"{warning} (a warning, and --strict was given)",
            expected="no warning",
            fix="correct what it says, or leave out --strict",
        )
    except KeyboardInterrupt as stop:
        failure = StoppedError(stop, given)
        complain(failure.found)
    except OSError as error:
        failure = RunError(
            found=f"{error.strerror or error}" + (f": {error.filename}" if error.filename else ""),
            expected="files and folders that can be read and written",
            fix="see to the file or the disk, then repeat the command",
        )
    if not isinstance(failure, StoppedError):
        complain(f"landcover {name}: {failure}" if name else f"landcover: {failure}")
    if as_json:
        say_json({"command": name, "exit_code": failure.exit_code, **error_fields(failure)})
    return failure.exit_code


@contextlib.contextmanager
def _shown_warnings(strict: bool) -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        warnings.simplefilter("error" if strict else "always", LandcoverWarning)
        yield


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    complain(f"warning: {message}")
