"""Texts that a user gives or a file holds: what in them is no plain text, and what is done then."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from landcover_pnp.errors import SettingsError

_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:/")
_VIRTUAL = "/vsi"

LOCAL = (
    "name a local one: download or unpack what lies elsewhere first, for example with curl -O; "
    "the layers of a scene alone may be addresses, and nothing is read out of archives"
)
"""What is to be done about a path that is no local one."""

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""How a cell begins that a spreadsheet takes for a formula; the wide ones are for Asian ones."""


def is_elsewhere(path: str) -> bool:
    """Whether a path is an address, such as ``https://...``, or one of GDAL's virtual paths.

    An address is found behind a folder too, and with one slash only: as a ``Path`` it has lost
    the other one, and relative ones have been counted from the folder of a configuration.
    """
    tails = [path] + [path[i + 1 :] for i, letter in enumerate(path) if letter == "/"]
    return path.startswith(_VIRTUAL) or any(map(_ADDRESS.match, tails))


def control_character(text: str) -> str:
    """Name of the first character that is no text: ``U+0007``; empty if there is none.

    Control characters, surrogates and those that are none: no XML, and so no project of QGIS, can
    hold them, and on a terminal they may be commands.
    """
    for letter in text:
        code = ord(letter)
        if unicodedata.category(letter) in ("Cc", "Cs") or code & 0xFFFE == 0xFFFE:
            return f"U+{code:04X}"
    return ""


def require_text(name: str, text: Any) -> None:
    """Refuses a text with control characters; what is no text passes.

    Args:
        name: Name of the setting.
        text: Its value.

    Raises:
        SettingsError: Names the setting and the character.
    """
    found = control_character(text) if isinstance(text, str) else ""
    if found:
        raise SettingsError(
            found=f"{name} is {text!r}, with the control character {found}",
            expected="one line of text",
            fix="leave the character out",
        )


def require_local(name: str, path: Any) -> None:
    """Refuses a path with control characters, an address and a virtual path.

    Args:
        name: Name of the setting.
        path: The path as the user wrote it.

    Raises:
        SettingsError: Names the setting and the path.
    """
    require_text(name, path)
    if isinstance(path, str) and is_elsewhere(path):
        raise SettingsError(
            found=f"{name} is {path}, an address or one of GDAL's virtual paths",
            expected="the path of a local file or folder",
            fix=LOCAL,
        )


def as_cell(value: Any) -> Any:
    """A value as a cell of a table that spreadsheets open: no text is a formula.

    Args:
        value: The value; what is no text stays as it is.

    Returns:
        A text that would be a formula with an apostrophe before it.
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
