"""Texts for every key of any settings dataclass: accepted, and other than the default."""

import dataclasses
import functools
import json
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from landcover_pnp.config.loading import settings_from
from landcover_pnp.config.schema import Key, is_list, is_text, leaves, walk, words_of
from landcover_pnp.config.values import typed
from landcover_pnp.errors import SettingsError


def candidates(key: Key) -> Iterator[str]:
    """Texts that may do, as they would stand on the command line."""
    kinds, default = set(leaves(key.kind)), key.default
    if key.block is not None:
        yield f"[{flow(key.block)}]"
    elif typing.get_origin(key.kind) is dict:
        yield from ("{mutual_information: 0.5}", "{7: 2}")
    elif is_list(key.kind):
        words = words_of(key.kind)
        yield from [f"[{', '.join(words[-2:])}]"] if words else []
        yield from ("[3.5, 2.5]", "[16, 8]", "[5, 4, 3, 2, 1, 0]", "[some/a.tif, some/b.tif]")
    elif words_of(key.kind):
        yield from words_of(key.kind)
    elif bool in kinds:
        yield "false" if default is True else "true"
    elif kinds & {int, float}:
        number = float(default) if isinstance(default, (int, float)) else 0.5
        for value in (number * 2, number / 2, number + 1, 0.5, 3, 16):
            yield str(int(value)) if int in kinds else str(value)
    else:
        yield from ("some: text/of it", 32 * "0", "3/20")


@functools.cache
def other_texts(settings: type[Any]) -> Mapping[str, str]:
    """A text by dotted name of every key that is no block: one that changes the settings.

    Raises:
        AssertionError: If no candidate does, for some key.
    """
    needed = {k.name: text for k in walk(settings) if _is_required(k) for text in _first(k)}
    plain = _loaded(settings, needed)
    found = {}
    for key in walk(settings):
        if key.is_group:
            continue
        for text in candidates(key):
            changed = _loaded(settings, {**needed, key.name: text})
            if changed is not None and (changed != plain or key.name in needed):
                found[key.name] = text
                break
        assert key.name in found, f"no other value for {key}"
    return found


def flow(settings: type[Any]) -> str:
    """All keys of a dataclass in one line of YAML."""
    return "{" + ", ".join(_nested(as_tree(settings, other_texts(settings)))) + "}"


def as_yaml(settings: type[Any], texts: Mapping[str, str]) -> str:
    """A YAML file that gives the same as options ``--key text``."""
    return "\n".join(_nested(as_tree(settings, texts)))


def as_tree(settings: type[Any], texts: Mapping[str, str]) -> dict[str, Any]:
    """YAML texts as nested as the keys are; texts that are taken as they stand are in quotes."""
    kinds = {key.name: key.kind for key in walk(settings)}
    tree: dict[str, Any] = {}
    for name, text in texts.items():
        *above, last = name.split(".")
        at = tree
        for part in above:
            at = at.setdefault(part, {})
        at[last] = json.dumps(text) if is_text(kinds[name]) else text
    return tree


def _nested(tree: Mapping[str, Any]) -> list[str]:
    return [
        f"{name}: " + ("{" + ", ".join(_nested(part)) + "}" if isinstance(part, dict) else part)
        for name, part in tree.items()
    ]


def _is_required(key: Key) -> bool:
    return key.default is dataclasses.MISSING and not key.hidden


def _first(key: Key) -> list[str]:
    if key.is_group:
        return ["{}"]
    return list(candidates(key))[:1] if not is_list(key.kind) or key.block else ["[some/a.yaml]"]


def _loaded(settings: type[Any], texts: Mapping[str, str]) -> Any:
    """The settings, or None where a value is refused; blocks that need more are filled up."""
    keys = {key.name: key for key in walk(settings)}
    values: dict[str, Any] = {}
    for name, key in keys.items():
        above = keys.get(name.rpartition(".")[0])
        needed = above and above.may_be_null and key.default is dataclasses.MISSING
        if needed and above and any(given.startswith(f"{above.name}.") for given in texts):
            values[name] = Path("needed") if Path in leaves(key.kind) else "needed"
    try:
        for name, text in texts.items():
            plain = keys[name].block is None
            values[name] = typed(keys[name].kind, text, name, "here") if plain else text
        values = dict(sorted(values.items(), key=lambda item: item[0].count(".")))
        return settings_from(settings, None, values)
    except SettingsError:
        return None
