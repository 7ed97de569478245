"""Configuration files and command-line keys, read into the frozen settings dataclasses."""

from __future__ import annotations

import dataclasses
import os
import re
import types
import typing
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from jsonargparse import ArgumentError, ArgumentParser

from landcover_pnp.errors import RenamedWarning, SettingsError, nearest
from landcover_pnp.plugin_settings import flattened, folded, is_blocks
from landcover_pnp.texts import require_local, require_text

S = TypeVar("S")


def load_settings(
    settings: type[S], config: Path | None = None, overrides: Sequence[str] = ()
) -> S:
    """Reads settings from a YAML file and command-line keys on top of it.

    Args:
        settings: Frozen dataclass of the stage.
        config: YAML file; relative paths in it count from its folder. None: defaults only.
        overrides: Command-line words such as ``--inference.engine``, ``evidence``; relative
            paths in them count from the current folder.

    Returns:
        The settings.

    Raises:
        SettingsError: If the file is missing or no YAML, a key is unknown (names the nearest
            one) or a value is of the wrong type.
    """
    flat = flattened(settings)
    values = {} if config is None else _checked(_read(config), flat, config)
    for key, value in _options(overrides, flat).items():
        *groups, name = key.split(".")
        target = values
        for group in groups:
            if target.get(group) is None:  # an optional block, written as null
                target[group] = {}
            target = target[group]
            if not isinstance(target, dict):  # refused below
                break
        else:
            target[name] = value
    _require_blocks(values, flat, config)
    parser = settings_parser(flat)
    try:
        parsed = parser.instantiate(parser.parse_object(values))
    except ArgumentError as error:
        raise _explained(error, config) from error
    except ValueError as error:  # of a block that may be null: what its class has said is below
        raise _cause(error) from error
    loaded: S = folded(flat(**vars(parsed)))
    return loaded


def _cause(error: BaseException) -> BaseException:
    """The package's own error that led to another, or that other."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, SettingsError):
        cause = cause.__cause__
    return cause or error


def renamed(was: str, words: Mapping[str, str] | None = None, **options: Any) -> Any:
    """A field of settings that had another name or other words; old ones are read with a warning.

    Args:
        was: The old name; ``../name`` if it stood beside the block that the field is in now.
        words: New words by the old ones, for a field that takes words.
        **options: As for ``dataclasses.field``.
    """
    return dataclasses.field(metadata={"was": was, "words": words or {}}, **options)


def plain(settings: Any) -> Any:
    """Settings as JSON values that ``load_settings`` reads back, with absolute paths."""
    if dataclasses.is_dataclass(settings):
        values: dict[str, Any] = {}
        for field in dataclasses.fields(settings):
            value = getattr(settings, field.name)
            blocks = value if is_blocks(field) else {field.name: value}
            values |= {name: plain(block) for name, block in blocks.items()}
        return values
    if isinstance(settings, (list, tuple)):
        return [plain(value) for value in settings]
    return str(settings.absolute()) if isinstance(settings, Path) else settings


def paths_in(settings: Any) -> list[Path]:
    """All paths in settings, those in blocks and lists too."""
    if isinstance(settings, Path):
        return [settings]
    if dataclasses.is_dataclass(settings):
        settings = [getattr(settings, field.name) for field in dataclasses.fields(settings)]
    if isinstance(settings, (list, tuple)):
        return [path for value in settings for path in paths_in(value)]
    return []


def settings_parser(settings: type[Any], block: str | None = None, **texts: Any) -> ArgumentParser:
    """Parser of a stage's settings as options ``--group.key value``.

    Args:
        settings: Frozen dataclass of the stage, or of a block of its settings.
        block: The block's name.
        **texts: ``prog``, ``usage``, ``description`` of the help text.
    """
    parser = ArgumentParser(exit_on_error=False, **texts)
    parser.add_class_arguments(flattened(settings), block)
    return parser


def settings_block(settings: type[Any], name: str) -> type[Any]:
    """Dataclass of a block of settings, by its dotted name.

    Raises:
        SettingsError: If there is no such block.
    """
    blocks = {key: _dataclass_in(kind) for key, kind in keys(settings).items()}
    inner: type[Any] | None = blocks.get(name)
    if inner is None:
        known = [key for key, kind in blocks.items() if kind is not None]
        raise SettingsError(
            found=f"no block of settings {name!r}",
            expected="one of " + ", ".join(known) if known else "no block: there are none",
            fix=nearest(name, known),
        )
    return inner


def keys(settings: type[Any], prefix: str = "") -> dict[str, Any]:
    """Types by dotted name of all keys of a settings dataclass, groups included."""
    found: dict[str, Any] = {}
    for name, kind in typing.get_type_hints(flattened(settings)).items():
        found[prefix + name] = kind
        inner = _dataclass_in(kind)
        if inner is not None and not _is_list(kind):
            found |= keys(inner, f"{prefix}{name}.")
    return found


def _read(config: Path) -> dict[str, Any]:
    if not os.path.isfile(config):  # noqa: PTH113, which fails where a folder may not be read
        kind = ", but a folder or a special file" if os.path.exists(config) else ""  # noqa: PTH110
        raise SettingsError(
            found=f"no configuration file {config}{kind}",
            expected="a YAML file",
            fix="correct the path; configs/ holds examples",
        )
    try:
        values = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise SettingsError(
            found=f"{config} is no YAML: {' '.join(str(error).split())}",
            expected="lines of `key: value`, indented by spaces",
            fix="compare with the examples in configs/",
        ) from error
    if not isinstance(values, dict):
        raise SettingsError(
            found=f"{config} holds {'nothing' if values is None else type(values).__name__}",
            expected="keys and values",
            fix="compare with the examples in configs/",
        )
    return values


def _checked(values: dict[str, Any], settings: type[Any], config: Path, at: str = "") -> Any:
    """The same values with paths counted from the file's folder; refuses unknown keys."""
    hints = typing.get_type_hints(settings)
    words = _words(settings)
    checked: dict[str, Any] = {}
    for key, value in _with_new_names(values, settings, config, at).items():
        if key not in hints:
            raise SettingsError(
                found=f"unknown key {at + str(key)!r} in {config}",
                expected="one of " + ", ".join(at + name for name in hints),
                fix=nearest(str(key), hints),
            )
        kind, inner = hints[key], _dataclass_in(hints[key])
        items = value if _is_list(kind) and isinstance(value, list) else [value]
        if inner is not None:
            items = [
                _checked(v, inner, config, f"{at}{key}.") if isinstance(v, dict) else v
                for v in items
            ]
        else:
            _require_plain(kind, f"{at}{key}", items)
        if inner is None and Path in _leaves(kind):
            items = [str(config.parent / v) if isinstance(v, str) else v for v in items]
        items = _new_words(items, words.get(key, {}), f" in {config}")
        checked[key] = items if isinstance(value, list) else items[0]
    return checked


def _with_new_names(
    values: dict[str, Any], settings: type[Any], config: Path, at: str
) -> dict[str, Any]:
    """The same values, those of renamed keys under their new names."""
    hints, names = typing.get_type_hints(settings), _old_names(settings)
    old = [key for key in values if key in names and key not in hints]
    new = {key: value for key, value in values.items() if key not in old}
    for key in old:
        _warn_renamed(at + key, at + names[key], f" in {config}")
        block, _, name = names[key].rpartition(".")
        if not block:
            new[name] = values[key]
        elif isinstance(new.get(block) or {}, dict):  # what is no block is refused below
            new[block] = {**(new.get(block) or {}), name: values[key]}
    return new


def _require_plain(kind: Any, name: str, values: list[Any]) -> None:
    """Refuses texts with control characters, and paths that are no local ones."""
    for value in values:
        (require_local if Path in _leaves(kind) else require_text)(name, value)


def _require_blocks(
    values: dict[str, Any], settings: type[Any], config: Path | None, at: str = ""
) -> None:
    """Refuses a block of settings that is none; one with nothing in it has its defaults."""
    for key, kind in typing.get_type_hints(settings).items():
        inner, value = _dataclass_in(kind), values.get(key)
        if inner is None or _is_list(kind) or key not in values:
            continue
        if value is None and types.NoneType not in _leaves(kind):
            values[key] = {}
        elif isinstance(value, dict):
            _require_blocks(value, inner, config, f"{at}{key}.")
        elif value is not None:
            raise SettingsError(
                found=f"{at}{key} is {value}" + (f" ({config})" if config else ""),
                expected="keys and values: " + ", ".join(typing.get_type_hints(inner)),
                fix=f"indent them below `{key}:`, or give them as --{at}{key}.KEY VALUE",
            )


def _options(words: Sequence[str], settings: type[Any]) -> dict[str, Any]:
    """Values by key of words like ``--key value`` and ``--key=value``.

    Values are YAML, but for texts and paths: a title may hold a colon.
    """
    known, old = keys(settings), _old_keys(settings)
    values: dict[str, Any] = {}
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        if name in old and name not in known and word.startswith("--"):
            _warn_renamed("--" + name, "--" + old[name])
            name = old[name]
        if not word.startswith("--") or name not in known:
            raise SettingsError(
                found=f"unknown option {word}",
                expected="options that --help lists",
                fix=nearest(name, known),
            )
        if not equals and not waiting:
            raise SettingsError(
                found=f"option {word} without a value",
                expected=f"{word} VALUE",
                fix="add the value",
            )
        value = value if equals else waiting.pop(0)
        _require_plain(known[name], f"--{name}", [value])
        as_it_is = value != "null" and _is_text(known[name])
        try:
            values[name] = value if as_it_is else yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise SettingsError(
                found=f"--{name} {value} is no YAML: {' '.join(str(error).split())}",
                expected="a value as it would stand in a configuration, in quotes",
                fix="correct the value",
            ) from error
    return values


def _old_names(settings: type[Any]) -> dict[str, str]:
    """New names by the old ones of a dataclass' fields that were renamed, see ``renamed``.

    Those that were moved into a block have its name and a dot before theirs.
    """
    found = {}
    for name, kind in typing.get_type_hints(settings).items():
        inner = _dataclass_in(kind)
        for field in dataclasses.fields(inner) if inner else ():
            was = field.metadata.get("was", "")
            if was.startswith("../"):
                found[was.removeprefix("../")] = f"{name}.{field.name}"
    for field in dataclasses.fields(settings):
        was = field.metadata.get("was", "")
        if was and not was.startswith("../"):
            found[was] = field.name
    return found


def _old_keys(settings: type[Any], old_at: str = "", at: str = "") -> dict[str, str]:
    """The same by dotted name, of all keys below; a group that was renamed renames its keys."""
    names = {new: was for was, new in _old_names(settings).items()}
    found = {old_at + was: at + new for new, was in names.items() if "." in new}
    for name, kind in typing.get_type_hints(settings).items():
        for old in {names.get(name, name), name}:
            if old_at + old != at + name:
                found[old_at + old] = at + name
            inner = _dataclass_in(kind)
            if inner is not None and not _is_list(kind):
                found |= _old_keys(inner, f"{old_at}{old}.", f"{at}{name}.")
    return found


def _words(settings: type[Any]) -> dict[str, Mapping[str, str]]:
    """New words by old ones, by field."""
    return {f.name: f.metadata.get("words", {}) for f in dataclasses.fields(settings)}


def _new_words(items: list[Any], words: Mapping[str, str], where: str = "") -> list[Any]:
    for word in words.keys() & {item for item in items if isinstance(item, str)}:
        _warn_renamed(word, words[word], where)
    return [words.get(item, item) if isinstance(item, str) else item for item in items]


def _warn_renamed(old: str, new: str, where: str = "") -> None:
    warnings.warn(
        f"{old}{where} is called {new} now; the old name is read until the next version",
        RenamedWarning,
        stacklevel=2,
    )


def _explained(error: ArgumentError, config: Path | None) -> SettingsError:
    # jsonargparse reports every alternative it tried; the user needs key, value and type.
    text = str(error)
    key = ".".join(re.findall(r'[Kk]ey "([^"]+)"', text))
    value = re.findall(r"(?:Given|Got) value: (.+)", text)
    kinds = re.findall(r"Expected an? <class '(?:\w+\.)*(\w+)'>", text)
    choices = re.search(r"Expected a typing\.Literal\[(.*?)\]", text)
    wanted = [kind for kind in dict.fromkeys(kinds) if kind != "NoneType"]
    missing = re.search(r"required: (.+)", text)
    fix = "correct the value in the configuration or on the command line"
    if missing or "is required" in text:
        found = f"no value for {key}" + (f": {missing[1]}" if missing else "")
        expected = "a value: it has no default"
    else:
        found = f"{key} is {value[0]}" if value else " ".join(text.split())
        expected = "a value of type " + " or ".join(wanted) if wanted else "what --help lists"
        if choices:
            expected = f"one of {choices[1]}"
            fix = nearest(value[0] if value else "", re.findall(r"'(.*?)'", choices[1]))
    return SettingsError(
        found=found + (f" ({config})" if config else ""), expected=expected, fix=fix
    )


def _leaves(kind: Any) -> tuple[Any, ...]:
    args = typing.get_args(kind)
    return tuple(leaf for arg in args for leaf in _leaves(arg)) if args else (kind,)


def _dataclass_in(kind: Any) -> Any:
    return next((leaf for leaf in _leaves(kind) if dataclasses.is_dataclass(leaf)), None)


def _is_text(kind: Any) -> bool:
    return not _is_list(kind) and set(_leaves(kind)) <= {str, Path, types.NoneType}


def _is_list(kind: Any) -> bool:
    options = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    return any(typing.get_origin(option) is list for option in options)


def require_positive(settings: Any, *names: str) -> None:
    """Refuses values that are not finite numbers above 0; None passes.

    Raises:
        SettingsError: Names the first such setting and its value.
    """
    for name in names:
        value = getattr(settings, name)
        if value is not None and not 0 < value < float("inf"):
            raise _outside(name, value, "a number above 0")


def require_within(settings: Any, low: float, high: float, *names: str) -> None:
    """Refuses values outside of ``low <= value <= high``; None passes.

    Raises:
        SettingsError: Names the first such setting and its value.
    """
    for name in names:
        value = getattr(settings, name)
        if value is not None and not low <= value <= high:
            wanted = f"{low:g} or more" if high == float("inf") else f"{low:g} to {high:g}"
            raise _outside(name, value, wanted)


def _outside(name: str, value: object, expected: str) -> SettingsError:
    return SettingsError(
        found=f"{name} is {value}",
        expected=expected,
        fix="correct the value in the configuration or on the command line",
    )
