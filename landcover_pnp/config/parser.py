"""Settings as options ``--block.key VALUE`` of a jsonargparse parser, and their help."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from jsonargparse import SUPPRESS, ArgumentError, ArgumentParser, Namespace

from landcover_pnp.config.profiles import as_read
from landcover_pnp.config.schema import (
    Key,
    is_list,
    leaves,
    old_keys,
    old_words,
    title_of,
    walk,
    warn_renamed,
    words_of,
)
from landcover_pnp.config.values import COMMAND_LINE, modern, refused, require_plain, typed
from landcover_pnp.errors import SettingsError, nearest

HELP = re.compile(r"-h|--(?:(?P<block>.+)\.)?help")
"""A word that asks for help: on everything, or on a block of settings."""


class SettingsParser(ArgumentParser):
    """A parser with the keys of a settings dataclass as options.

    jsonargparse reads the values by their types and writes the help and the shell completions.
    Words are looked through before: arguments and options may stand in any order, old names are
    replaced, unknown ones refused with the nearest known one.

    Args:
        **texts: As for ``argparse.ArgumentParser``.
    """

    def __init__(self, **texts: Any) -> None:
        super().__init__(exit_on_error=False, allow_abbrev=False, print_config=None, **texts)
        self.settings: type[Any] | None = None
        self.arguments: dict[str, Any] = {}
        self.several = False
        self.needed = 0
        self.keys: dict[str, Key] = {}

    def add_positional(self, name: str, meaning: str, kind: Any = Path) -> None:
        """Adds an argument; the last may be ``RUN [RUN ...]``, one or more, or ``[PLACE]``."""
        first, _, more = name.strip("[]").partition(" ")
        optional = name.startswith("[")
        self.arguments[first] = kind
        self.several = bool(more)
        self.needed += not optional
        several = "+" if more else "?" if optional else None
        self.add_argument(first, type=kind, help=meaning, nargs=several)

    def add_settings(
        self,
        settings: type[Any],
        at: str = "",
        title: str | None = None,
        *,
        everything: bool = False,
    ) -> None:
        """Adds the keys of a settings dataclass as options.

        Args:
            settings: The dataclass.
            at: What stands before the names, such as ``tiles.``.
            title: Title of the first group of the help.
            everything: Whether the help lists the keys of blocks that may be null too.
        """
        self.settings = as_read(settings)
        groups = {at: self.add_argument_group(title or title_of(settings).rstrip("."))}
        for key in walk(settings, at):
            above = key.name[: key.name.rfind(".") + 1]
            if key.is_group:
                groups[f"{key.name}."] = self.add_argument_group(key.meaning.rstrip("."))
            self._add_key(key, groups[above], everything or not key.hidden)

    def _add_key(self, key: Key, group: Any, shown: bool) -> None:
        option, dest = f"--{key.name}", _dest(key.name)
        self.keys[dest] = key
        if key.block is not None:
            shown = shown and (key.may_be_null or is_list(key.kind))
            form = "'[{KEY: VALUE, ...}, ...]'" if is_list(key.kind) else "'{KEY: VALUE, ...}'"
            meaning = f"{key.meaning} (keys: {option}.help, default: {_shown(key.default)})"
            texts = {"help": meaning if shown else SUPPRESS, "metavar": form, "default": SUPPRESS}
            group.add_argument(option, dest=dest, **texts)
            return
        meaning, default = key.meaning, key.default
        if default is dataclasses.MISSING:
            meaning, default = f"{meaning} (required, type: %(type)s)", SUPPRESS
        action = group.add_argument(
            option,
            dest=dest,
            type=key.kind,
            default=default,
            help=meaning if shown else SUPPRESS,
            metavar=_metavar(key),
        )
        for appending in [word for word in action.option_strings if word.endswith("+")]:
            action.option_strings.remove(appending)  # to what? a file may hold the list
            del self._option_string_actions[appending]

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Namespace | None = None, **kwargs: Any
    ) -> Namespace:
        """As jsonargparse's, with the words looked through before and mistakes explained."""
        words = list(args or ())
        asked = next(filter(None, map(HELP.fullmatch, before_dashes(words))), None)
        if asked:
            (self.explaining(asked["block"]) if asked["block"] else self).print_help()
            self.exit()
        words = self.spelled(words)
        try:
            return super().parse_args(words, namespace, **kwargs)
        except ArgumentError as error:
            self._blame(words)
            raise SettingsError(
                " ".join(str(error).split()), str(self.usage), "see --help"
            ) from error

    def _blame(self, words: Sequence[str]) -> None:
        """Refuses the word that is no value of its type."""
        options = before_dashes(words)
        for option in options:
            name, _, text = option.removeprefix("--").partition("=")
            key = self.keys.get(_dest(name))
            if key is not None and key.block is None:
                typed(key.kind, text, key.name, COMMAND_LINE)
        for (name, kind), text in zip(
            self.arguments.items(), words[len(options) + 1 :], strict=False
        ):
            typed(kind, text, name, COMMAND_LINE)

    def values(self, parsed: Namespace) -> dict[str, Any]:
        """Given settings by dotted name, blocks before what lies in them; blocks are texts."""
        given = {key.name: parsed[dest] for dest, key in self.keys.items() if dest in parsed}
        return dict(sorted(given.items(), key=lambda item: item[0].count(".")))

    def spelled(self, words: Iterable[str]) -> list[str]:
        """The words with every option as ``--key=value``, before the arguments.

        Raises:
            SettingsError: If an option is not known or has no value, an argument is missing, or
                there are too many.
        """
        renamed = old_keys(self.settings) if self.settings else {}
        words_by_key = old_words(self.settings) if self.settings else {}
        options, paths, waiting = list[str](), list[str](), list(words)
        while waiting:
            word = waiting.pop(0)
            if word == "--":
                paths += waiting
                break
            if not word.startswith("-") or word == "-":
                paths.append(word)
                continue
            name, equals, value = word.removeprefix("--").partition("=")
            if name in renamed and _dest(name) not in self.keys:
                new = self.keys.get(_dest(renamed[name]))
                if new is None or not new.lasting:
                    warn_renamed(f"--{name}", f"--{renamed[name]}")
                name = renamed[name]
            action = self._option_string_actions.get(f"--{name}")
            if action is None or not word.startswith("--"):
                raise self._unknown(word, name)
            if action.nargs == 0:
                if equals:
                    raise SettingsError(f"{word} with a value", f"--{name} alone", "omit the value")
                options.append(f"--{name}")
                continue
            if not equals:
                if not waiting or waiting[0].partition("=")[0] in self._option_string_actions:
                    raise SettingsError(
                        found=f"option --{name} without a value",
                        expected=f"--{name} VALUE",
                        fix="add the value",
                    )
                value = waiting.pop(0)
            key = self.keys.get(_dest(name))
            kind, addressed = (key.kind, key.addressed) if key else (action.type, False)
            value = require_plain(kind, f"--{name}", value, addressed=addressed)
            if value == "" and (action.type is Path or (key and Path in leaves(key.kind))):
                raise refused(Path, "", name, COMMAND_LINE)
            if key and key.block:  # the whole block, given after parts of it, takes their place
                options = [o for o in options if not o.startswith(f"--{name}.")]
            options.append(f"--{name}={modern(value, words_by_key.get(name, {}))}")
        self._require_arguments(paths)
        return [*options, "--", *paths] if paths else options

    def _unknown(self, word: str, name: str) -> SettingsError:
        known = [option.removeprefix("--") for option in self._option_string_actions]
        return SettingsError(
            found=f"unknown option {word}",
            expected="options that --help lists",
            fix=nearest(name, known),
        )

    def _require_arguments(self, paths: Sequence[str]) -> None:
        if len(paths) < self.needed or "" in paths:
            name = "path" if "" in paths else list(self.arguments)[len(paths)]
            raise SettingsError(
                found=f"no {name}" if "" not in paths else "an empty word instead of a path",
                expected=self.usage or " ".join(self.arguments),
                fix="see --help",
            )
        if len(paths) > len(self.arguments) and not self.several:
            raise self._unknown(paths[len(self.arguments)], paths[len(self.arguments)])
        for number, path in enumerate(paths):
            require_plain(Path, list(self.arguments)[min(number, len(self.arguments) - 1)], path)

    def explaining(self, block: str) -> SettingsParser:
        """A parser whose help is about a block of settings alone.

        Args:
            block: Dotted name of the block, or of a list of them.

        Raises:
            SettingsError: If there is no such block.
        """
        blocks = {key.name: key for key in self.keys.values() if key.block is not None}
        name, *inner = block.split("[].")
        key = blocks.get(name.removesuffix("[]"))
        if key is None or key.block is None:
            raise SettingsError(
                found=f"no block of settings {block!r}",
                expected="one of " + ", ".join(blocks) if blocks else "no block: there are none",
                fix=nearest(block, blocks),
            )
        at = f"{name}[]." if is_list(key.kind) else f"{name}."
        parser = SettingsParser(prog=self.prog, usage=SUPPRESS, add_help=False)
        parser.formatter_class = self.formatter_class
        parser.add_settings(key.block, at, key.meaning.rstrip("."))
        return parser.explaining(block) if inner else parser


def before_dashes(words: Sequence[str]) -> Sequence[str]:
    """The words before ``--``, behind which nothing is an option."""
    return words[: words.index("--")] if "--" in words else words


def _dest(name: str) -> str:
    return name.replace(".", "__")  # jsonargparse would take a dotted name for that of a group


def _metavar(key: Key) -> str:
    if is_list(key.kind):
        return "'[ITEM, ...]'"
    words = ["true", "false"] if bool in leaves(key.kind) else words_of(key.kind)
    last = key.name.rpartition(".")[2].upper()
    return "{" + ",".join(words) + "}" if words else last


def _shown(default: Any) -> str:
    if default is dataclasses.MISSING:
        return "none: required"
    return "null" if default is None else "[]" if default == [] else "given"
