"""The program's parser: jsonargparse's subcommands, one a command."""

from __future__ import annotations

import dataclasses
import re
from argparse import RawDescriptionHelpFormatter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from jsonargparse import SUPPRESS, ArgumentParser, DefaultHelpFormatter

from landcover_pnp.cli.command import ARGUMENTS, Command, Request
from landcover_pnp.config.loading import settings_from
from landcover_pnp.config.parser import SettingsParser, before_dashes
from landcover_pnp.errors import SettingsError, nearest
from landcover_pnp.version import __version__

FLAGS = {
    "--json": "print one JSON object, and nothing else, to stdout",
    "--strict": "treat warnings as errors",
}
"""Options of every command, which may stand anywhere, before its name too."""

ANSWERS = ("-h", "--help", "--version")
"""Words that need no command."""


class HelpFormatter(DefaultHelpFormatter, RawDescriptionHelpFormatter):
    """Help without the names of Python's types; the list of commands keeps its lines."""

    def format_help(self) -> str:
        """The help text."""
        return re.sub(r"<class\s+'(\w+)'>", r"\1", super().format_help()).rstrip() + "\n"


class Program:
    """The program's parser and those of its commands.

    Args:
        commands: All commands by name.
        needed: Names of those whose options are needed in this call: hundreds take their time.
        everything: Whether the keys of blocks that may be null are listed too.
    """

    def __init__(
        self, commands: Mapping[str, Command], needed: Collection[str], *, everything: bool = False
    ) -> None:
        self.commands = commands
        self.parser = ArgumentParser(
            prog="landcover",
            usage="landcover COMMAND ...",
            description=_overview(commands),
            epilog="`landcover COMMAND --help` lists a command's options. Every command takes "
            "--json (print one\nJSON object) and --strict (treat warnings as errors).",
            exit_on_error=False,
            allow_abbrev=False,
            formatter_class=HelpFormatter,
        )
        version = f"landcover-pnp {__version__}"
        self.parser.add_argument("--version", action="version", version=version, help=SUPPRESS)
        _add_flags(self.parser, shown=everything)
        listed = "what to do" if everything else SUPPRESS  # the description lists them
        added = self.parser.add_subcommands(dest="command", description=None, help=listed)
        self.parts = {name: SettingsParser() for name in commands}
        groups: dict[str, Any] = {}
        for name, command in commands.items():
            group, _, own = name.partition(" ")
            if own and group not in groups:
                above = ArgumentParser(exit_on_error=False, allow_abbrev=False)
                added.add_subcommand(group, above, help=f"see `landcover {name} --help`")
                groups[group] = above.add_subcommands(dest="what", description=None)
            into = groups[group] if own else added
            into.add_subcommand(own or name, self.parts[name], help=command.summary)
            if name in needed:
                _fill(self.parts[name], name, command, everything)

    def understood(self, words: Sequence[str]) -> Request:
        """What the user asks for.

        Raises:
            SettingsError: If a word, a key or a value is wrong.
            SystemExit: After help or the version, which are printed.
        """
        words = spelled_out(words, self.commands)
        name = command_of(words, self.commands)
        first = name.partition(" ")[0] if name in self.commands else name
        for word in words[: words.index(first)] if name else before_dashes(words):
            if word not in (*FLAGS, *ANSWERS):
                raise self._misplaced(word, name)
        if name not in self.commands and (name or not set(ANSWERS) & set(words)):
            raise SettingsError(
                found=f"unknown command {name!r}" if name else "no command",
                expected="one of " + ", ".join(self.commands),
                fix=nearest(name, self.commands) if name else "see --help",
            )
        parsed = self.parser.parse_args(words, defaults=False, env=False)
        command, part, given = self.commands[name], self.parts[name], parsed
        for word in name.split():
            given = given[word]
        named = [value for argument in part.arguments for value in _listed(given.get(argument))]
        arguments = [value for value in named if value is not None]
        options = {option: given.get(option) for option in command.options}
        config = command.config(arguments[0]) if command.config else options.get("config")
        settings = settings_from(command.settings, config, part.values(given))
        strict = "--strict" in before_dashes(words)
        flags = frozenset(f for f in command.flags if given.get(f.replace("-", "_")))
        return Request(tuple(arguments), settings, options, strict, flags)

    def _misplaced(self, word: str, name: str) -> SettingsError:
        known = [flag.removeprefix("--") for flag in (*FLAGS, *ANSWERS)]
        close = nearest(word.removeprefix("--"), known)
        return SettingsError(
            found=f"unknown option {word} before the command" + (f" {name}" if name else ""),
            expected="options behind the name of the command",
            fix=close if close.startswith("did") else f"`landcover {name or 'COMMAND'} {word} ...`",
        )


def command_of(words: Sequence[str], commands: Collection[str]) -> str:
    """The command among the program's words: the first that is no option; empty without one.

    Behind an option that is no flag, which is misplaced there, it is the first known command. Of
    commands of two words, such as ``fetch place``, both are it where the second is there too.
    """
    bare = [word for word in before_dashes(words) if not word.startswith("-")]
    first = next((word for word in words if word not in (*FLAGS, *ANSWERS)), "")
    heads = {name.partition(" ")[0] for name in commands}
    known = [word for word in bare if word in heads] if first.startswith("-") else []
    found = next(iter([*known, *bare]), "")
    behind = words[words.index(found) + 1 :] if found in heads else []
    two = f"{found} {behind[0]}" if behind else found
    return two if two in commands else found


def spelled_out(words: Sequence[str], commands: Collection[str]) -> list[str]:
    """The words with the second one of a command of two, where the user has left it out.

    Of a group of commands such as ``plan``, options follow the first one's name, and a
    configuration (``.yaml``) that of the one whose argument it is.
    """
    at = next((i for i, word in enumerate(words) if not word.startswith("-")), None)
    if at is not None and words[at] in commands:  # both may be in one word
        words = [*words[:at], *words[at].split(), *words[at + 1 :]]
    given, first = list(words), command_of(words, commands)
    group = [name for name in commands if name.startswith(f"{first} ")] if first else []
    if first in commands or not group:
        return given
    at = given.index(first) + 1
    second = next((word for word in given[at:] if word not in FLAGS), "--help")
    takes_file = [name for name in group if name.endswith(" map")]
    meant = takes_file if second.endswith((".yaml", ".yml")) else group * second.startswith("-")
    return [*given[:at], *(name.split()[1] for name in meant[:1]), *given[at:]]


def _fill(parser: SettingsParser, name: str, command: Command, everything: bool) -> None:
    """Adds arguments, options and help to the parser of a command."""
    has_keys = bool(dataclasses.fields(command.settings))
    parser.usage = " ".join(
        ["landcover", name, *command.arguments, *["[--KEY VALUE ...]"] * has_keys]
    )
    parser.description = command.summary
    if "CONFIG" in command.arguments:
        parser.epilog = "The keys may stand in the YAML file CONFIG too; options win."
    for argument in command.arguments:
        parser.add_positional(argument, ARGUMENTS[argument], command.kind)
    for option, meaning in command.options.items():
        parser.add_argument(f"--{option}", type=Path, default=SUPPRESS, help=meaning)
    for flag, meaning in command.flags.items():
        parser.add_argument(f"--{flag}", action="store_true", default=SUPPRESS, help=meaning)
    _add_flags(parser)
    if has_keys:
        parser.add_settings(command.settings, everything=everything)


def _overview(commands: Mapping[str, Command]) -> str:
    width = max(map(len, commands)) + 2
    lines = [f"  {name:<{width}}{command.summary}" for name, command in commands.items()]
    about = "Land-cover maps of whole cities from aerial imagery and coarse public labels."
    return "\n".join([about, "", *lines])


def _add_flags(parser: ArgumentParser, *, shown: bool = True) -> None:
    for flag, meaning in FLAGS.items():
        text = meaning if shown else SUPPRESS
        parser.add_argument(flag, action="store_true", default=SUPPRESS, help=text)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
