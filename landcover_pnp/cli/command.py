"""What every command is made of: its arguments, its settings, its work and its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from landcover_pnp.cli.output import say_fields

ARGUMENTS: dict[str, str] = {
    "CONFIG": "YAML file of settings; the options below win over it",
    "RUN": "folder of a map run",
    "RUN [RUN ...]": "folders of map runs",
    "MAP": "class map, such as landcover.tif, or folder of a map run",
    "ZONES": "vector file of polygons",
    "[EDITS]": "vector file of polygons or points, each with a class: all edits of the map",
    "SAMPLE": "a sample of `landcover sample` that was labelled",
    "RUN_A": "folder of a map run, or a class map",
    "[RUN_B]": "another one of the same ground; without it, RUN_A before and after its corrections",
    "FOLDER": "folder that holds run folders",
    "PRIOR": "folder of a prior",
    "TRAINING": "configuration of `landcover train-prior`",
    "SOURCE": "checkpoint or folder",
    "[PLACE]": "name of a place, such as 'Durham, North Carolina'; or give bbox or area",
    "SHELL": "bash, zsh or tcsh",
}
"""What the arguments of commands mean, by name."""


class Request(NamedTuple):
    """What a command is asked for.

    Attributes:
        arguments: Its arguments; paths, but for commands that say so.
        settings: Its settings, from the configuration and the options.
        options: Options that are no settings, by name; None where they are not given.
        strict: Whether warnings are to be errors.
        flags: Which of the command's own flags are given.
    """

    arguments: tuple[Any, ...]
    settings: Any
    options: Mapping[str, Path | None]
    strict: bool
    flags: frozenset[str] = frozenset()

    @property
    def path(self) -> Path:
        """The first argument."""
        return Path(self.arguments[0])


@dataclass(frozen=True)
class Command:
    """One command of the command line.

    Attributes:
        run: Carries it out and returns a dataclass: its answer, which ``--json`` prints. An
            ``exit_code`` of it is that of the command.
        settings: Dataclass of its options.
        arguments: Names of its arguments, see ``ARGUMENTS``.
        summary: One sentence of help.
        options: Options that are no settings, all of them paths: their help by name. One that is
            called ``config`` is a file of settings.
        flags: Options of its own without a value: their help by name.
        show: Prints the answer for people.
        config: The settings file, given the first argument; None for commands without one.
        kind: Type of its arguments.
    """

    run: Callable[[Request], Any]
    settings: type[Any]
    arguments: tuple[str, ...]
    summary: str
    options: Mapping[str, str] = field(default_factory=dict)
    flags: Mapping[str, str] = field(default_factory=dict)
    show: Callable[[Any], None] = say_fields
    config: Callable[[Path], Path] | None = None
    kind: Any = Path


def itself(path: Path) -> Path:
    """The settings file of commands whose argument it is."""
    return path
