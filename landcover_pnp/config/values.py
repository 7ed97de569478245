"""Texts of YAML files and of the command line as values of their types."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser

from landcover_pnp.config.addresses import as_path, is_address
from landcover_pnp.config.schema import in_words, leaves, warn_renamed, words_of
from landcover_pnp.config.texts import require_local, require_text
from landcover_pnp.errors import SettingsError, nearest

COMMAND_LINE = "command line"
"""Where a value stands that stands in no file."""


def typed(kind: Any, text: str, key: str, where: str) -> Any:
    """A text as a value of a type, as jsonargparse reads it.

    Args:
        kind: Type hint.
        text: The text; YAML, except where a text is wanted.
        key: Dotted name of the setting, for the message.
        where: Where the text stands, for the message.

    Raises:
        SettingsError: If the text is no such value.
    """
    try:
        value = _parser(kind).parse_object({"value": text}, defaults=False, env=False)["value"]
    except ArgumentError as error:
        raise refused(kind, text, key, where) from error
    if text == "" and isinstance(value, Path):  # would be the current folder
        raise refused(kind, text, key, where)
    return value


def refused(kind: Any, text: str, key: str, where: str) -> SettingsError:
    """The error about a value of the wrong type."""
    shown = text if text.isprintable() and text else repr(text)
    words = words_of(kind)
    return SettingsError(
        found=f"{key} is {shown if len(shown) <= 80 else shown[:77] + '...'} ({where})",
        expected=in_words(kind),
        fix=nearest(text, words) if words else f"correct the value ({where})",
    )


def not_alone(
    kind: Any, key: str, where: str, keys: Sequence[str] | None, beside: Sequence[str]
) -> SettingsError:
    """The error about a list, or about keys, where one value is wanted.

    Args:
        kind: Type hint.
        key: Dotted name of the setting.
        where: Where its value stands.
        keys: The keys; None for a list.
        beside: Names of the settings of its block.
    """
    last = key.rpartition(".")[2]
    if keys is None:
        found, known = f"{key} is a list ({where})", []
    else:
        found, known = f"{key} has keys of its own: {', '.join(keys)} ({where})", [*keys]
    known = [name for name in known if name in beside and name != last]
    return SettingsError(
        found=found,
        expected=in_words(kind),
        fix=f"give the value alone, `{last}: VALUE`"
        + (f", and beside `{last}:`, not below it, {', '.join(known)}" if known else ""),
    )


def require_plain(
    kind: Any, name: str, text: str, where: str = COMMAND_LINE, *, addressed: bool = False
) -> str:
    """Refuses a text with control characters, and a path that is no local one.

    Args:
        kind: Type hint.
        name: Dotted name of the setting.
        text: The text.
        where: Where it stands.
        addressed: Whether an address is taken for a path too.

    Returns:
        The text; of an address that of its path, without what could be a secret.

    Raises:
        SettingsError: Names the setting, its value and the place.
    """
    try:
        require_text(name, text)
        if addressed and is_address(text):
            return str(as_path(text, name))
        if Path in leaves(kind):
            require_local(name, text)
        return text
    except SettingsError as error:
        found = f"{error.found} ({where})"
        raise SettingsError(found, error.expected, error.fix) from error


def modern(text: str, words: Mapping[str, str], where: str = "") -> str:
    """A text with the words of an older version replaced, with a warning.

    Args:
        text: A word, or a list of words as YAML.
        words: New words by the old ones.
        where: Where the text stands, for the warning.
    """

    def new(match: re.Match[str]) -> str:
        if match[0] in words:
            warn_renamed(match[0], words[match[0]], where)
        return words.get(match[0], match[0])

    return re.sub(r"[\w-]+", new, text) if words else text


@cache
def _parser(kind: Any) -> ArgumentParser:
    parser = ArgumentParser(exit_on_error=False, add_help=False)
    parser.add_argument("--value", type=kind)
    return parser
