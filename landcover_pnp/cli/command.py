"""What every command is made of: its words, its help, and how it speaks to the user."""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from landcover_pnp.config import load_settings, settings_block, settings_parser
from landcover_pnp.errors import LandcoverWarning, SettingsError
from landcover_pnp.texts import require_local

S = TypeVar("S")


class Command(NamedTuple):
    """One command of the command line.

    Attributes:
        run: Carries it out, given its words; returns the exit code.
        settings: Dataclass of its options.
        argument: Names of its arguments, empty for none.
        summary: One sentence of help.
        options: Options of its own that are no settings, by name: their help.
    """

    run: Callable[[list[str]], int]
    settings: type[Any]
    argument: str
    summary: str
    options: Mapping[str, str] = {}

    def help(self, name: str, block: str | None = None) -> str:
        """The help text: usage, every option with its meaning, type and default.

        Args:
            name: Name of the command.
            block: Name of an optional block of settings, such as ``student``, to explain alone.

        Raises:
            SettingsError: If the command has no such block.
        """
        options = "[--KEY VALUE ...]" if dataclasses.fields(self.settings) else ""
        usage = " ".join(filter(None, ["landcover", name, self.argument, options]))
        settings = settings_block(self.settings, block) if block else self.settings
        parser = settings_parser(settings, block, prog=f"landcover {name}", usage=usage)
        if block is None:
            parser.description = self.summary
            for option, text in self.options.items():
                parser.add_argument(f"--{option}", help=text, default=argparse.SUPPRESS)
            parser.add_argument(
                "--strict",
                action="store_true",
                help="treat warnings as errors",
                default=argparse.SUPPRESS,
            )
        if self.argument == "CONFIG":
            parser.epilog = "The keys may stand in the YAML file CONFIG too; options win."
        return re.sub(r"<class\s+'(\w+)'>", r"\1", parser.format_help()).rstrip()


def arguments(
    name: str, words: list[str], **options: str | None
) -> tuple[str, dict[str, Any], list[str]]:
    """Splits a command's words.

    Args:
        name: Name of the command's one argument.
        words: The command's words.
        **options: The command's own options and their defaults.

    Returns:
        The argument, the own options, and the words left for the settings.

    Raises:
        SettingsError: If the argument or an option's value is missing.
    """
    if not words or words[0].startswith("-"):
        raise SettingsError(
            found=f"no {name}" + (f" before {words[0]}" if words else ""),
            expected=f"{name} as the command's first word",
            fix="see --help",
        )
    require_local(name, words[0])
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for option, default in options.items():
        parser.add_argument(f"--{option}", default=default)
    try:
        own, rest = parser.parse_known_args(words[1:])
    except argparse.ArgumentError as error:
        raise SettingsError(
            found=f"option {error.argument_name} without a value",
            expected=f"{error.argument_name} VALUE",
            fix="add the value",
        ) from error
    for option, value in vars(own).items():
        require_local(f"--{option}", value)
    return words[0], vars(own), rest


def given(names: str, words: list[str], settings: type[S]) -> tuple[list[Path], S]:
    """Arguments and settings of a command that has no options but its settings.

    Args:
        names: Names of the command's arguments, all of them files or folders.
        words: The command's words.
        settings: Dataclass of its options.

    Returns:
        The arguments and the settings.

    Raises:
        SettingsError: If an argument is missing or an option is wrong.
    """
    paths = []
    for name in names.split():
        word, _, words = arguments(name, words)
        paths.append(Path(word))
    return paths, load_settings(settings, overrides=words)


def is_strict() -> bool:
    """Whether the command was given ``--strict``: warnings of the package are errors."""
    return any(f[0] == "error" and f[2] is LandcoverWarning for f in warnings.filters)


def say(text: str) -> None:
    """Prints a result."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say_fields(summary: Any) -> None:
    """Prints a stage's summary, a line a field."""
    for field in dataclasses.fields(summary):
        value = getattr(summary, field.name)
        if isinstance(value, dict):
            value = ", ".join(f"{name} {share:.3f}" for name, share in value.items())
        elif isinstance(value, tuple):
            value = " ".join(f"{item:.4f}" for item in value)
        elif isinstance(value, float):
            value = f"{value:.6g}"
        say(f"{field.name.replace('_', ' '):<16}{value}")


def complain(text: str) -> None:
    """Prints what went wrong."""
    sys.stderr.write(text + "\n")
