"""YAML files as trees of nodes that know their lines; files that no one would write are refused."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from landcover_pnp.errors import SettingsError

MOST_BYTES = 4_000_000
"""Largest file that is read: some tens of thousands of cities for a batch."""

MOST_NODES = 200_000
"""Most keys and values, aliases written out: a few lines of aliases can stand for billions."""

DEEPEST = 40
"""Deepest nesting; settings need about eight levels."""

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

NULL, MERGE = "tag:yaml.org,2002:null", "tag:yaml.org,2002:merge"

TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "merge")}
TAGS |= {f"tag:yaml.org,2002:{kind}" for kind in ("seq", "map", "timestamp", "value")}
"""Tags that plain YAML has; any other asks for an object to be made."""


@dataclass(frozen=True)
class Place:
    """Where values stand: a file, or the command line.

    Attributes:
        file: The YAML file; None for the command line.
    """

    file: Path | None = None

    def of(self, node: Node) -> str:
        """The place of a node: ``city.yaml:4``, or ``command line``."""
        line = node.start_mark.line + 1
        return f"{self.file}:{line}" if self.file else "command line"


def read_yaml(path: Path) -> MappingNode:
    """Reads a YAML file of keys and values.

    Raises:
        SettingsError: If it is missing, no regular file, too large, not UTF-8, no YAML, or holds
            no keys and values.
    """
    root: MappingNode = parse_yaml(_text(path), Place(path))
    return root


def parse_yaml(text: str, place: Place) -> Any:
    """Reads YAML text as nodes.

    Args:
        text: The text.
        place: Where it stands.

    Returns:
        The root: keys and values if it comes from a file, any node from the command line.

    Raises:
        SettingsError: As ``read_yaml``.
    """
    where = str(place.file or "the command line")
    try:
        _require_shallow(text, place)
        root = yaml.compose(text, Loader=LOADER)
    except yaml.YAMLError as error:
        raise _no_yaml(text, error, place) from error
    if place.file and not isinstance(root, MappingNode):
        kind = {type(None): "nothing", SequenceNode: "list"}.get(type(root), "text")
        raise SettingsError(
            found=f"{where} holds {kind}",
            expected="keys and values",
            fix="compare with the examples in configs/",
        )
    if root is not None:
        _require_sane(root, place)
    return root


def pairs(node: MappingNode) -> dict[str, tuple[Node, Node]]:
    """Key and value nodes by key; what ``<<`` merges stands first and loses against own keys."""
    merged: dict[str, tuple[Node, Node]] = {}
    own: dict[str, tuple[Node, Node]] = {}
    for key, value in node.value:
        if key.tag == MERGE:
            for other in value.value if isinstance(value, SequenceNode) else [value]:
                if isinstance(other, MappingNode):
                    merged = {**pairs(other), **merged}
        else:
            own[key.value] = key, value
    return {**merged, **own}


def is_null(node: Node) -> bool:
    """Whether a node says null, or nothing."""
    return isinstance(node, ScalarNode) and node.tag == NULL


def scalars(node: Node) -> list[str]:
    """All texts of a node, in lists and mappings too."""
    if isinstance(node, ScalarNode):
        return [node.value]
    items = node.value if isinstance(node, SequenceNode) else [v for _, v in node.value]
    return [text for item in items for text in scalars(item)]


def text_of(node: Node) -> str:
    """A node as it could stand on the command line: a scalar's text, else YAML of one line."""
    if isinstance(node, ScalarNode):
        return str(node.value)
    text = yaml.serialize(_flowing(node, lambda scalar: scalar), width=float("inf"))
    return str(text).strip()


def with_texts(node: Node, change: Callable[[str], str]) -> Node:
    """The same node with its texts changed; null stays."""

    def changed(scalar: ScalarNode) -> ScalarNode:
        if is_null(scalar):
            return scalar
        return ScalarNode("tag:yaml.org,2002:str", change(scalar.value), style='"')

    return _flowing(node, changed)


def _flowing(node: Node, change: Callable[[ScalarNode], ScalarNode]) -> Node:
    if isinstance(node, SequenceNode):
        items = [_flowing(item, change) for item in node.value]
        return SequenceNode(node.tag, items, node.start_mark, flow_style=True)
    if isinstance(node, MappingNode):
        values = [(key, _flowing(value, change)) for key, value in node.value]
        return MappingNode(node.tag, values, node.start_mark, flow_style=True)
    return change(node) if isinstance(node, ScalarNode) else node


def _text(path: Path) -> str:
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise _unreadable(
            f"no configuration file {path}", getattr(error, "strerror", "")
        ) from error
    if not stat.S_ISREG(status.st_mode):
        raise _unreadable(f"no configuration file {path}, but a folder or a special file")
    try:
        with path.open("rb") as source:
            content = source.read(MOST_BYTES + 1)
    except OSError as error:
        raise _unreadable(f"{path} cannot be read", error.strerror) from error
    if len(content) > MOST_BYTES:
        raise _unreadable(f"{path} has more than {MOST_BYTES // 1_000_000} MB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise SettingsError(
            found=f"{path}:{line} is no UTF-8 (byte {content[error.start]:#04x})",
            expected="a YAML file in UTF-8",
            fix="save it as UTF-8, as every editor can",
        ) from error


def _unreadable(found: str, reason: str | None = "") -> SettingsError:
    return SettingsError(
        found=found + (f" ({reason})" if reason and reason != "No such file or directory" else ""),
        expected="a YAML file of settings",
        fix="correct the path; configs/ holds examples",
    )


def _no_yaml(text: str, error: Exception, place: Place) -> SettingsError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = mark.line + 1 if mark else None
    lines = text.splitlines()
    beginning = lines[line - 1] if line and line <= len(lines) else ""
    tab = "\t" in beginning[: len(beginning) - len(beginning.lstrip())]
    problem = getattr(error, "problem", None) or getattr(error, "reason", None)
    reason = problem or str(error)
    where = f"{place.file}:{line}" if place.file and line else str(place.file or text)
    return SettingsError(
        found=f"{where} is no YAML: " + ("a tab" if tab else " ".join(str(reason).split())),
        expected="lines of `key: value`, indented by spaces"
        if place.file
        else "a value as it would stand in a configuration",
        fix="indent by spaces, not by tabs" if tab else "compare with the examples in configs/",
    )


def _require_shallow(text: str, place: Place) -> None:
    """Refuses values in values without end, at which the C library would end the process."""
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            line = f":{event.start_mark.line + 1}" if event.start_mark else ""
            where = f"{place.file}{line}" if place.file else "the command line"
            raise _insane(f"more than {DEEPEST} levels at {where}", "values a few levels deep")


def _require_sane(root: Node, place: Place) -> None:
    """Refuses what no settings need: objects, keys that stand twice, nodes without end."""
    sizes: dict[int, int] = {}
    above: set[int] = set()

    def size(node: Node, depth: int) -> int:
        if id(node) in above:
            raise _insane(f"an alias of itself at {place.of(node)}", "values written out")
        if depth > DEEPEST:  # by aliases of aliases
            raise _insane(f"more than {DEEPEST} levels at {place.of(node)}", "fewer levels")
        if id(node) in sizes:
            return sizes[id(node)]
        if node.tag not in TAGS:
            raise _insane(f"a value tagged {node.tag} at {place.of(node)}", "plain values")
        above.add(id(node))
        count = 1
        if isinstance(node, SequenceNode):
            count += sum(size(item, depth + 1) for item in node.value)
        elif isinstance(node, MappingNode):
            _require_keys(node, place)
            count += sum(size(value, depth + 1) + 1 for _, value in node.value)
        above.remove(id(node))
        if count > MOST_NODES:
            raise _insane(
                f"more than {MOST_NODES} values from {place.of(node)} on, aliases written out",
                "settings that can be written out",
            )
        sizes[id(node)] = count
        return count

    size(root, 0)


def _require_keys(node: MappingNode, place: Place) -> None:
    lines: dict[str, int] = {}
    for key, _ in node.value:
        if not isinstance(key, ScalarNode):
            raise _insane(f"a key that is no word at {place.of(key)}", "lines of `key: value`")
        if key.value in lines:
            raise SettingsError(
                found=f"key {key.value!r} twice: {place.of(key)} and line {lines[key.value]}",
                expected="each key once",
                fix="delete one of the two lines",
            )
        lines[key.value] = key.start_mark.line + 1


def _insane(found: str, expected: str) -> SettingsError:
    return SettingsError(found=found, expected=expected, fix="write the values out, by hand")
