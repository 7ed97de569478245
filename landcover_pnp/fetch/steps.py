"""Pieces of work whose results stay as long as nothing that they are made of changes."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from landcover_pnp.storage.atomic import write_text
from landcover_pnp.storage.files import file_fault
from landcover_pnp.storage.owned_folder import OwnedFolder
from landcover_pnp.storage.records import (
    Ingredients,
    Record,
    file_hashes,
    make_way,
    move_changed_aside,
)

Make = Callable[[], Mapping[str, float]]
"""Makes the files of a step and returns its figures."""


@dataclass
class Steps:
    """Steps in an owned folder.

    Attributes:
        owned: The folder.
        report: Told what is done, a line each.
        made: Number of steps that were carried out.
        kept: Number of those whose results were kept.
        used: Names of all files that belong to the results.
    """

    owned: OwnedFolder
    report: Callable[[str], None]
    made: int = 0
    kept: int = 0
    used: set[str] = field(default_factory=set)

    def path(self, name: str) -> Path:
        """The file of a name."""
        return self.owned.path / name

    def step(self, name: str, files: Iterable[str], made_of: Ingredients, make: Make) -> Record:
        """Carries out a step, unless its results stand.

        Args:
            name: Its record's file, without ``.json``; relative to the folder.
            files: Its results, beside the record or below.
            made_of: What they depend on.
            make: Makes them.

        Returns:
            The record.
        """
        names, record_name = list(files), f"{name}.json"
        path = self.path(record_name)
        self.owned.claim(record_name, *names)
        self.used |= {record_name, *names}
        record, differing = Record.standing(path, made_of)
        if record is not None:
            self.kept += 1
            return record
        if differing:
            self.report(f"{name}: fetched again, changed since: {', '.join(differing)}")
        for said in make_way(path):
            self.report(said)
        begun = time.monotonic()
        figures = make()
        hashes = file_hashes(path.parent, [self.path(name) for name in names])
        record = Record("done", made_of, time.monotonic() - begun, figures=figures, files=hashes)
        record.write(path)
        self.made += 1
        return record

    def text(self, name: str, text: str) -> None:
        """Writes a text that a user may change: one that was, stays, until a new one is due."""
        path, record_path = self.path(name), self.path(f"{name}.json")
        self.owned.claim(name, record_path.name)
        self.used |= {name, record_path.name}
        record = Record.read(record_path)
        if record is not None and record.ingredients == {"text": text} and path.is_file():
            if file_fault(path, record.files.get(name, "")):
                self.report(f"{name} was changed by hand, and is kept")
            return
        for said in move_changed_aside(record_path):
            self.report(said)
        record_path.unlink(missing_ok=True)
        write_text(path, text)
        Record("done", {"text": text}, 0.0, files=file_hashes(path.parent, [path])).write(
            record_path
        )

    def remove_others(self) -> None:
        """Removes results of an earlier fetch that are none of this one."""
        others = sorted(self.owned.names - self.used)
        self.owned.remove(*others)
        self.owned.disown(*others)


def plain_names(names: Iterable[str]) -> list[str]:
    """Names of a catalogue as names of files: each another one, and nothing but a name."""
    found: list[str] = []
    for name in names:
        plain = re.sub(r"[^0-9A-Za-z_-]+", "-", name).strip("-")[:80] or "image"
        number, free = 1, plain
        while free.casefold() in {other.casefold() for other in found}:
            number += 1
            free = f"{plain}-{number}"
        found.append(free)
    return found
