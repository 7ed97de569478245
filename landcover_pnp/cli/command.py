"""What every command is made of: its words, its help, and how it speaks to the user."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from landcover_pnp.configuration import settings_parser
from landcover_pnp.errors import SettingsError


class Command(NamedTuple):
    """One command of the command line.

    Attributes:
        run: Carries it out, given its words; returns the exit code.
        settings: Dataclass of its options.
        argument: Name of its argument, empty for none.
        summary: One sentence of help.
        options: Options of its own that are no settings, by name: their help.
    """

    run: Callable[[list[str]], int]
    settings: type[Any]
    argument: str
    summary: str
    options: Mapping[str, str] = {}

    def help(self, name: str) -> str:
        """The help text: usage, every option with its meaning, type and default."""
        usage = " ".join(filter(None, ["landcover", name, self.argument, "[--KEY VALUE ...]"]))
        parser = settings_parser(self.settings, prog=f"landcover {name}", usage=usage)
        parser.description = self.summary
        if self.argument == "CONFIG":
            parser.epilog = "The keys may stand in the YAML file CONFIG too; options win."
        for option, text in self.options.items():
            parser.add_argument(f"--{option}", help=text)
        parser.add_argument("--strict", action="store_true", help="treat warnings as errors")
        return str(parser.format_help())


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
        SettingsError: If the argument is missing.
    """
    if not words or words[0].startswith("-"):
        raise SettingsError(
            found=f"no {name}" + (f" before {words[0]}" if words else ""),
            expected=f"{name} as the command's first word",
            way_out="see --help",
        )
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for option, default in options.items():
        parser.add_argument(f"--{option}", default=default)
    own, rest = parser.parse_known_args(words[1:])
    return words[0], vars(own), rest


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
