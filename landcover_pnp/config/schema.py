"""What settings dataclasses say of themselves: keys, types, meanings, old names."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from landcover_pnp.config.plugin_settings import original
from landcover_pnp.config.profiles import KEY, as_read, meaning_of
from landcover_pnp.errors import RenamedWarning

TYPES: dict[Any, str] = {
    int: "a whole number (int)",
    float: "a number (float)",
    bool: "true or false (bool)",
    str: "a text (str)",
    Path: "a path (Path)",
    types.NoneType: "null",
}
"""How a message calls a type."""


class Key(NamedTuple):
    """A key of a settings dataclass.

    Attributes:
        name: Dotted name.
        kind: Type hint.
        meaning: What it means, from the docstring of its dataclass.
        default: Default; ``dataclasses.MISSING`` where a value must be given.
        block: Dataclass of the block that the key stands for, or of the items of a list of them;
            None for a plain value.
        hidden: Whether it lies in a block that may be null, whose keys have a help of their own.
        addressed: Whether its value may be an address, see ``file_or_address``.
        lasting: Whether its old name stays a good one, see ``renamed``.
    """

    name: str
    kind: Any
    meaning: str
    default: Any
    block: type[Any] | None
    hidden: bool
    addressed: bool
    lasting: bool

    @property
    def is_group(self) -> bool:
        """Whether it is a block whose keys have dotted names of their own."""
        return self.block is not None and not is_list(self.kind)

    @property
    def may_be_null(self) -> bool:
        """Whether null is a value."""
        return types.NoneType in leaves(self.kind)


def renamed(
    was: str,
    words: Mapping[str, str] | None = None,
    *,
    lasting: bool = False,
    addressed: bool = False,
    **options: Any,
) -> Any:
    """A field of settings that had another name or other words; old ones are read with a warning.

    Args:
        was: The old name; ``../name`` if it stood beside the block that the field is in now.
        words: New words by the old ones, for a field that takes words.
        lasting: Whether the old name is read without a warning, and stays: it is the right word
            for most of those who use it.
        addressed: Whether its value may be an address, see ``file_or_address``.
        **options: As for ``dataclasses.field``.
    """
    metadata = {"was": was, "words": words or {}, "lasting": lasting, _ADDRESSED: addressed}
    return dataclasses.field(metadata=metadata, **options)


def file_or_address(**options: Any) -> Any:
    """A field of settings, of type ``Path``, whose value may be an address of ``addresses`` too.

    Args:
        **options: As for ``dataclasses.field``.
    """
    return dataclasses.field(metadata={_ADDRESSED: True}, **options)


_ADDRESSED = "addressed"


def addressed_fields(settings: type[Any]) -> set[str]:
    """Names of the fields of a dataclass that are made by ``file_or_address``."""
    return {f.name for f in dataclasses.fields(settings) if f.metadata.get(_ADDRESSED)}


def walk(settings: type[Any], at: str = "") -> Iterator[Key]:
    """All keys of a settings dataclass, those of plug-ins too, each block before its own keys.

    Args:
        settings: The dataclass.
        at: What stands before the names, such as ``tiles.``.
    """
    return _walk(as_read(settings), at, hidden=False, base=None)


def _walk(settings: type[Any], at: str, *, hidden: bool, base: Any) -> Iterator[Key]:
    """The same of a flattened dataclass.

    Args:
        settings: The dataclass.
        at: What stands before the names.
        hidden: Whether it is a block that may be null, or lies in one.
        base: An instance with its defaults; None for those of the class.
    """
    hints, meanings = typing.get_type_hints(settings), meanings_of(settings)
    for field in sorted(dataclasses.fields(settings), key=lambda field: field.name != KEY):
        kind, block = hints[field.name], block_of(hints[field.name])
        default = default_of(field) if base is None else getattr(base, field.name)
        meaning = meanings.get(field.name) or (title_of(block) if block else meaning_of(field))
        addressed = field.name in addressed_fields(settings)
        lasting = field.metadata.get("lasting", False)
        key = Key(at + field.name, kind, meaning, default, block, hidden, addressed, lasting)
        yield key
        if block is not None and key.is_group:
            inner = default if isinstance(default, block) else None
            within = hidden or key.may_be_null
            yield from _walk(block, f"{key.name}.", hidden=within, base=inner)


def keys(settings: type[Any]) -> dict[str, Any]:
    """Types by dotted name of all keys of a settings dataclass, blocks included."""
    return {key.name: key.kind for key in walk(settings)}


def default_of(field: dataclasses.Field[Any]) -> Any:
    """Default of a field; ``dataclasses.MISSING`` where a value must be given."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def meanings_of(settings: type[Any]) -> Mapping[str, str]:
    """Meanings of a dataclass's fields, inherited ones too, from ``Attributes`` of docstrings."""
    found: dict[str, str] = {}
    for documented in reversed(original(settings).__mro__[:-1]):
        found |= _meanings(documented.__doc__ or "")
    return found


@functools.cache
def _meanings(docstring: str) -> Mapping[str, str]:
    import docstring_parser

    said = docstring_parser.parse(docstring, docstring_parser.DocstringStyle.GOOGLE)
    return {p.arg_name: " ".join((p.description or "").split()) for p in said.params}


def title_of(settings: type[Any]) -> str:
    """First line of a dataclass's docstring."""
    return (settings.__doc__ or settings.__name__).strip().splitlines()[0]


def old_names(settings: type[Any]) -> dict[str, str]:
    """New names by the old ones of a flattened dataclass's fields that were renamed.

    Those that were moved into a block have its name and a dot before theirs, see ``renamed``.
    """
    found = {}
    for name, kind in typing.get_type_hints(settings).items():
        block = block_of(kind)
        for field in dataclasses.fields(block) if block else ():
            was = field.metadata.get("was", "")
            if was.startswith("../"):
                found[was.removeprefix("../")] = f"{name}.{field.name}"
    for field in dataclasses.fields(settings):
        was = field.metadata.get("was", "")
        if was and not was.startswith("../"):
            found[was] = field.name
    return found


def is_lasting(settings: type[Any], name: str) -> bool:
    """Whether the old name of a field stays a good one, see ``renamed``."""
    fields = {field.name: field for field in dataclasses.fields(settings)}
    return name in fields and bool(fields[name].metadata.get("lasting"))


def old_keys(settings: type[Any], old_at: str = "", at: str = "") -> dict[str, str]:
    """The same by dotted name, of all keys below; a block that was renamed renames its keys."""
    names = {new: was for was, new in old_names(settings).items()}
    found = {old_at + was: at + new for new, was in names.items() if "." in new}
    for name, kind in typing.get_type_hints(settings).items():
        block = block_of(kind)
        for old in {names.get(name, name), name}:
            if old_at + old != at + name:
                found[old_at + old] = at + name
            if block is not None and not is_list(kind):
                found |= old_keys(block, f"{old_at}{old}.", f"{at}{name}.")
    return found


def old_words(settings: type[Any], at: str = "") -> dict[str, Mapping[str, str]]:
    """New words by old ones, by dotted name of a flattened dataclass's keys that take them."""
    found: dict[str, Mapping[str, str]] = {}
    hints = typing.get_type_hints(settings)
    for field in dataclasses.fields(settings):
        block = block_of(hints[field.name])
        if field.metadata.get("words"):
            found[at + field.name] = field.metadata["words"]
        if block is not None and not is_list(hints[field.name]):
            found |= old_words(block, f"{at}{field.name}.")
    return found


def warn_renamed(old: str, new: str, where: str = "") -> None:
    """Says that an old name was read."""
    warnings.warn(
        f"{old}{where} is called {new} now; the old name is read until the next version",
        RenamedWarning,
        stacklevel=2,
    )


def leaves(kind: Any) -> tuple[Any, ...]:
    """Plain types in a type hint; the words of a ``Literal`` count as such."""
    inner = typing.get_args(kind)
    return tuple(leaf for part in inner for leaf in leaves(part)) if inner else (kind,)


def block_of(kind: Any) -> type[Any] | None:
    """The dataclass in a type hint, if there is one."""
    found = (leaf for leaf in leaves(kind) if isinstance(leaf, type))
    return next((leaf for leaf in found if dataclasses.is_dataclass(leaf)), None)


def takes_parts(kind: Any) -> bool:
    """Whether a list, or keys and values, are a value of a type hint."""
    inner = typing.get_args(kind)
    origin = typing.get_origin(kind) or kind
    if isinstance(origin, type) and issubclass(origin, list | tuple | Mapping):
        return True
    return any(takes_parts(part) for part in inner) or kind is Any


def is_list(kind: Any) -> bool:
    """Whether a type hint is that of a list, also of one that may be null."""
    return any(typing.get_origin(option) is list for option in _options(kind))


def is_text(kind: Any) -> bool:
    """Whether a type hint takes any text, as it stands."""
    return not is_list(kind) and set(leaves(kind)) <= {str, Path, types.NoneType}


def words_of(kind: Any) -> list[str]:
    """The words that a type hint allows, where it is one of words or a list of them."""
    options = [o for option in _options(kind) for o in (option, *typing.get_args(option))]
    literals = [option for option in options if typing.get_origin(option) is Literal]
    return [str(word) for literal in literals for word in typing.get_args(literal)]


def in_words(kind: Any) -> str:
    """A type hint as a message says it."""
    if kind in TYPES:
        return TYPES[kind]
    inner, origin = typing.get_args(kind), typing.get_origin(kind)
    if origin is Literal:
        return "one of " + ", ".join(repr(word) for word in inner)
    if origin is list:
        return f"a list [ITEM, ...], each {in_words(inner[0])}"
    if origin is dict:
        return (
            f"{{KEY: VALUE, ...}}, each key {in_words(inner[0])}, each value {in_words(inner[1])}"
        )
    if len(_options(kind)) > 1:
        return " or ".join(in_words(option) for option in _options(kind))
    return "keys and values: " + ", ".join(typing.get_type_hints(kind)) if block_of(kind) else "any"


def _options(kind: Any) -> tuple[Any, ...]:
    is_union = isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union
    return typing.get_args(kind) if is_union else (kind,)
