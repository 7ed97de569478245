"""Settings from a YAML file with options on top of it."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from landcover_pnp.config.addresses import is_address
from landcover_pnp.config.parser import SettingsParser
from landcover_pnp.config.plugin_settings import folded
from landcover_pnp.config.profiles import KEY, Profile, as_read, default_profile, profiles_of
from landcover_pnp.config.schema import (
    addressed_fields,
    block_of,
    default_of,
    is_lasting,
    is_list,
    is_text,
    leaves,
    meanings_of,
    old_names,
    old_words,
    takes_parts,
    warn_renamed,
    words_of,
)
from landcover_pnp.config.values import (
    COMMAND_LINE,
    modern,
    not_alone,
    refused,
    require_plain,
    typed,
)
from landcover_pnp.config.yaml_file import (
    Place,
    is_null,
    pairs,
    parse_yaml,
    read_yaml,
    scalars,
    text_of,
    with_texts,
)
from landcover_pnp.errors import SettingsError, nearest

S = TypeVar("S")


class Leaf(NamedTuple):
    """A value and where it stands."""

    value: Any
    where: str


@dataclass
class Block:
    """A block of settings as it is given: leaves, blocks and lists of blocks by key."""

    where: str
    parts: dict[str, Any] = dataclasses.field(default_factory=dict)

    def block(self, name: str, where: str) -> Block:
        """A block in this one, made where there is none, or null."""
        if not isinstance(self.parts.get(name), Block):
            self.parts[name] = Block(where)
        found: Block = self.parts[name]
        return found


def load_settings(
    settings: type[S], config: Path | None = None, overrides: Sequence[str] = ()
) -> S:
    """Reads settings from a YAML file and command-line options on top of it.

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
    options: dict[str, Any] = {}
    if overrides:
        parser = SettingsParser(prog="settings", add_help=False)
        parser.add_settings(settings)
        options = parser.values(parser.parse_args(overrides, defaults=False, env=False))
    return settings_from(settings, config, options)


def settings_from(settings: type[S], config: Path | None, options: Mapping[str, Any]) -> S:
    """Settings from a YAML file and the values of options on top of it.

    What neither gives comes from the profile that they name, or else from the default one.

    Args:
        settings: Frozen dataclass of the stage.
        config: YAML file, or None.
        options: Values by dotted name, blocks and lists of blocks as YAML texts; a block that is
            given as a whole replaces the file's and comes before its own keys.

    Raises:
        SettingsError: As ``load_settings``.
    """
    flat: Any = as_read(settings)
    root = Block(COMMAND_LINE)
    if config is not None:
        root = _block(read_yaml(config), flat, Place(config), "")
        root.where = str(config)
    for name, value in options.items():
        *above, last = name.split(".")
        target, kind = root, typing.get_type_hints(flat)
        for part in above:
            target = target.block(part, COMMAND_LINE)
            kind = typing.get_type_hints(block_of(kind[part]))
        if block_of(kind[last]) is not None:
            node = parse_yaml(value, Place())
            told = _Told({}, addressed=False)
            target.parts[last] = _part(node, kind[last], Place(), name, COMMAND_LINE, told)
        else:
            target.parts[last] = Leaf(value, COMMAND_LINE)
    named = root.parts.get(KEY)
    word = named.value if isinstance(named, Leaf) else default_profile(settings)
    if word in profiles_of(settings):
        _fill(root, flat, f"{KEY} {word}", profiles_of(settings)[word])
    loaded: S = _built(flat, root, config)
    return loaded


def _fill(root: Block, settings: type[Any], where: str, profile: Profile) -> None:
    """Puts a profile's values where nothing is given, neither there nor for a block around."""
    for name, text in profile.values.items():
        *above, last = name.split(".")
        target: Any = root
        kind: Any = settings
        for part in above:
            if isinstance(target, Block):  # else it is null: there is no such block
                target = target.parts.setdefault(part, Block(where))
            kind = block_of(typing.get_type_hints(kind)[part])
        if isinstance(target, Block) and last not in target.parts:
            node, kind = parse_yaml(text, Place()), typing.get_type_hints(kind)[last]
            target.parts[last] = _part(node, kind, Place(), name, where, _Told({}, addressed=False))


def _block(node: MappingNode, settings: type[Any], place: Place, at: str) -> Block:
    """A mapping as a block of settings; refuses unknown keys with the nearest known one."""
    hints, old, given = typing.get_type_hints(settings), old_names(settings), pairs(node)
    block, renamed = Block(place.of(node)), given.keys() & old.keys() - hints.keys()
    for name in sorted(given, key=lambda name: name in renamed):
        key, value = given[name]
        where, new = place.of(key), old[name] if name in renamed else name
        if name in renamed and not is_lasting(settings, new):
            warn_renamed(at + name, at + new, f" in {where}")
        inside, _, last = new.rpartition(".")  # a key that was moved into a block
        owner = (block_of(hints[inside]) if inside else None) or settings
        kinds = typing.get_type_hints(owner)
        target = block.block(inside, where) if inside else block
        if last not in kinds:
            raise SettingsError(
                found=f"unknown key {at + name!r} in {where}",
                expected="one of " + ", ".join(at + known for known in hints),
                fix=nearest(name, hints),
            )
        if last in target.parts:
            raise SettingsError(
                found=f"{at + name} ({where}) beside {at + new}, whose old name it is",
                expected="each key once",
                fix="delete the old one",
            )
        told = _Told(old_words(owner).get(last, {}), last in addressed_fields(owner), [*kinds])
        target.parts[last] = _part(value, kinds[last], place, at + new, where, told)
    return block


class _Told(NamedTuple):
    """What a field says of its values, and its block.

    Attributes:
        words: New words by old ones.
        addressed: Whether values may be addresses.
        beside: Names of the fields of its block.
    """

    words: Mapping[str, str]
    addressed: bool
    beside: Sequence[str] = ()


def _part(node: Node | None, kind: Any, place: Place, name: str, where: str, told: _Told) -> Any:
    """A node as a leaf, a block or a list of blocks."""
    inner = block_of(kind)
    if inner is None:
        return _leaf(node, kind, place, name, where, told)
    if node is None or is_null(node):
        if type(None) in leaves(kind):
            return Leaf(None, where)
        if is_list(kind):
            raise refused(kind, "null", name, where)
        return Block(where)  # nothing in it: its defaults
    if is_list(kind):
        if not isinstance(node, SequenceNode):
            raise refused(kind, text_of(node), name, where)
        return [
            _part(item, inner, place, f"{name}[{i}]", place.of(item), told)
            for i, item in enumerate(node.value)
        ]
    if not isinstance(node, MappingNode):
        raise SettingsError(
            found=f"{name} is {text_of(node)} ({where})",
            expected="keys and values: " + ", ".join(typing.get_type_hints(inner)),
            fix=f"indent them below `{name.rpartition('.')[2]}:`, or give them as "
            f"--{name}.KEY VALUE",
        )
    return _block(node, inner, place, f"{name}.")


def _leaf(node: Any, kind: Any, place: Place, name: str, where: str, told: _Told) -> Leaf:
    if is_null(node):
        if type(None) not in leaves(kind):
            raise refused(kind, "null", name, where)
        return Leaf(None, where)
    written = text_of(node)
    if not isinstance(node, ScalarNode) and not takes_parts(kind):
        keys = [*pairs(node)] if isinstance(node, MappingNode) else None
        raise not_alone(kind, name, where, keys, told.beside)
    plain = {
        text: require_plain(kind, name, text, where, addressed=told.addressed)
        for text in scalars(node)
    }
    if Path in leaves(kind):
        folder = place.file.parent if place.file else Path()
        as_given = {"", *words_of(kind)}
        node = with_texts(
            node,
            lambda text: (
                plain[text] if text in as_given or is_address(plain[text]) else str(folder / text)
            ),
        )
    text = modern(text_of(node), told.words, f" in {where}")
    if (
        is_text(kind) and text and isinstance(node, ScalarNode)
    ):  # as it stands, "null" in quotes too
        return Leaf(Path(text) if Path in leaves(kind) else text, where)
    try:
        return Leaf(typed(kind, text, name, where), where)
    except SettingsError as error:  # as the user wrote it, without the file's folder
        raise refused(kind, written, name, where) from error


def _built(
    settings: type[Any], block: Block, config: Path | None, at: str = "", base: Any = None
) -> Any:
    """The settings of a block; ``base`` has the values of keys that are not given."""
    hints, values, missing = typing.get_type_hints(settings), dict[str, Any](), list[str]()
    for field in dataclasses.fields(settings):
        default = default_of(field) if base is None else getattr(base, field.name)
        part, inner = block.parts.get(field.name), block_of(hints[field.name])
        if field.name not in block.parts:
            missing += [field.name] if default is dataclasses.MISSING else []
            values[field.name] = default
        elif isinstance(part, Block) and inner is not None:
            above = default if isinstance(default, inner) else None
            values[field.name] = _built(inner, part, config, f"{at}{field.name}.", above)
        elif isinstance(part, list) and inner is not None:
            values[field.name] = [
                _built(inner, item, config, f"{at}{field.name}[{i}].")
                for i, item in enumerate(part)
            ]
        else:
            values[field.name] = typing.cast(Leaf, part).value
    if missing:
        raise _without(settings, missing, block, config, at)
    try:
        return folded(settings(**values))
    except SettingsError as error:
        raise _placed(error, block, at) from error


def _without(
    settings: type[Any], missing: list[str], block: Block, config: Path | None, at: str
) -> SettingsError:
    first, names = missing[0], [at + name for name in missing]
    meaning = meanings_of(settings).get(first, "")
    option = f"--{names[0]} VALUE" if "[" not in at else ""
    if block.where == COMMAND_LINE and config is None:
        return SettingsError(
            found="no value for " + ", ".join(f"--{name}" for name in names),
            expected=f"--{names[0]}: {meaning}",
            fix=f"add {option or first} to the command",
        )
    below = f"below `{at.rstrip('.')}:`, " if at else ""
    return SettingsError(
        found=f"no value for {', '.join(names)} ({block.where})",
        expected=f"{first}: {meaning}",
        fix=f"add `{first}: VALUE` {below}in {block.where}" + (f", or {option}" if option else ""),
    )


def _placed(error: SettingsError, block: Block, at: str) -> SettingsError:
    """The error of a dataclass about ``NAME is VALUE``, with the block and the place."""
    part = block.parts.get(error.found.partition(" is ")[0])
    if not isinstance(part, Leaf):
        return SettingsError(at + error.found, error.expected, error.fix) if at else error
    found = f"{at}{error.found} ({part.where})"
    return SettingsError(found, error.expected, f"correct the value ({part.where})")
