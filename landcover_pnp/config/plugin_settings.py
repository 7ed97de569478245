"""Settings whose keys and words are found at run time: those of plug-ins.

A dataclass may hold a mapping of blocks by name, each block settings of a plug-in. In configuration
files and on the command line the blocks stand beside the dataclass's other keys, as if it had a
field for each: ``flattened`` makes the dataclass that has, ``folded`` takes its values back.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from landcover_pnp.errors import SettingsError

_BLOCKS = "blocks"
_CHOICES = "choices"
_FLAT_OF = "_flat_of"


def blocks_of(kinds: Callable[[], Mapping[str, type[Any]]]) -> Any:
    """A field of blocks by name, empty by default; those not given have their own defaults.

    Args:
        kinds: Dataclasses of the blocks there are, by name; all their fields have defaults.
    """
    return dataclasses.field(default_factory=dict, metadata={_BLOCKS: kinds})


def one_of(choices: Callable[[], Iterable[str]], default: str | None, **metadata: Any) -> Any:
    """A field that holds one of several words, or None where its type allows that.

    Args:
        choices: The words there are.
        default: The default.
        **metadata: What else is to be known of the field.
    """
    return dataclasses.field(default=default, metadata={_CHOICES: choices, **metadata})


def choices(field: dataclasses.Field[Any]) -> tuple[str, ...] | None:
    """The words of a field made by ``one_of``; None of any other."""
    return tuple(field.metadata[_CHOICES]()) if _CHOICES in field.metadata else None


def is_blocks(field: dataclasses.Field[Any]) -> bool:
    """Whether a field was made by ``blocks_of``."""
    return _BLOCKS in field.metadata


def flattened(settings: type[Any], *, copied: bool = False) -> type[Any]:
    """The dataclass as configuration files see it.

    Args:
        settings: A dataclass.
        copied: Whether to make another dataclass in any case. The parser executes what a
            dataclass's module imports for type checkers alone, which of a plug-in is heavy; of a
            copy it sees this module.

    Returns:
        A frozen dataclass with a field for each block and the words of today as a ``Literal``, in
        nested dataclasses too; ``settings`` itself where there is nothing of the kind.
    """
    hints = typing.get_type_hints(settings)
    fields: list[tuple[str, Any, Any]] = []
    same = not copied
    for field in dataclasses.fields(settings):
        if is_blocks(field):
            same = False
            for name, kind in field.metadata[_BLOCKS]().items():
                flat = flattened(kind, copied=True)
                fields.append((name, flat, dataclasses.field(default_factory=flat)))
            continue
        flat = _shown(hints[field.name], choices(field))
        same = same and flat == hints[field.name]
        fields.append((field.name, flat, _with_default(field, flat)))
    if same:
        return settings
    namespace = {_FLAT_OF: settings, "__doc__": settings.__doc__}
    namespace["__module__"] = __name__
    return dataclasses.make_dataclass(settings.__name__, fields, frozen=True, namespace=namespace)


def original(settings: type[Any]) -> type[Any]:
    """The dataclass that a flattened one was made of, whose bases it has not; any other itself."""
    found: type[Any] = getattr(settings, _FLAT_OF, settings)
    return found


def folded(value: Any) -> Any:
    """Settings of a flattened dataclass as those of the dataclass itself, nested ones too.

    Raises:
        SettingsError: If a class raises a ValueError, such as that of a plug-in's block.
    """
    if isinstance(value, list):
        return [folded(item) for item in value]
    settings = getattr(type(value), _FLAT_OF, None)
    if settings is None:
        return value
    values: dict[str, Any] = {}
    for field in dataclasses.fields(settings):
        if is_blocks(field):
            names = field.metadata[_BLOCKS]()
            values[field.name] = {name: folded(getattr(value, name)) for name in names}
        else:
            values[field.name] = folded(getattr(value, field.name))
    try:
        return settings(**values)
    except ValueError as error:
        word = str(error).partition(" ")[0]
        title = "" if word in values else f"{settings.__name__}: "
        raise SettingsError(
            found=f"{title}{error}",
            expected="values that it takes",
            fix="correct the value in the configuration or on the command line",
        ) from error


def _shown(kind: Any, words: tuple[str, ...] | None) -> Any:
    """A type with its dataclasses flattened, and ``str`` as the words that it may be."""
    if words is not None and kind is str:
        return typing.Literal[words]
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return flattened(kind)
    args = typing.get_args(kind)
    shown = tuple(_shown(arg, words) for arg in args)
    if shown == args:
        return kind
    origin = typing.get_origin(kind)
    union = origin in (typing.Union, types.UnionType)
    return functools.reduce(operator.or_, shown) if union else operator.getitem(origin, shown)


def _with_default(field: dataclasses.Field[Any], flat: Any) -> Any:
    """A copy of a field whose default is flat too."""
    factory = field.default_factory
    if factory is not dataclasses.MISSING:
        return dataclasses.field(
            default_factory=lambda: _spread(factory(), flat), metadata=field.metadata
        )
    return dataclasses.field(default=field.default, metadata=field.metadata)


def _spread(value: Any, kind: Any) -> Any:
    """Settings as those of the flattened dataclass that their new type holds, if any."""
    leaves = [leaf for leaf in (kind, *typing.get_args(kind)) if hasattr(leaf, _FLAT_OF)]
    flat = next((leaf for leaf in leaves if getattr(leaf, _FLAT_OF) is type(value)), None)
    if flat is None:
        return value
    hints, values = typing.get_type_hints(flat), dict[str, Any]()
    for field in dataclasses.fields(value):
        given = getattr(value, field.name)
        given = given if is_blocks(field) else {field.name: given}
        values |= {name: _spread(item, hints[name]) for name, item in given.items()}
    return flat(**values)
