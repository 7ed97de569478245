"""Slices of a batch: jobs of an array that share its folder, its table and its lock."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

from landcover_pnp.errors import RunLockedError, SettingsError
from landcover_pnp.pipeline.batch_table import signs_of_old
from landcover_pnp.storage.lock import locked, owner
from landcover_pnp.storage.owned_folder import OwnedFolder, held

TABLE = "cities.csv"
"""Name of the table in the folder of a batch."""

BATCH = "batch"
"""What the marker of such a folder says."""

WAIT_S = 30.0
"""Time for which other slices may hold the table, which takes a moment."""

_FORM = re.compile(r"([0-9]{1,6})/([0-9]{1,6})", re.ASCII)
_FOLDER = re.compile(r"\.slice-([0-9]+)-of-([0-9]+)")

T = TypeVar("T")


@dataclass(frozen=True)
class Slice:
    """One of so many parts of a batch: every n-th city, from its own number on.

    Attributes:
        number: Its number, from 1.
        count: Number of slices.
    """

    number: int
    count: int

    @classmethod
    def of(cls, text: str) -> Self:
        """A slice by its name, ``3/20``.

        Raises:
            SettingsError: If there is no such slice.
        """
        match = _FORM.fullmatch(text)
        number, count = (int(match[1]), int(match[2])) if match else (0, 0)
        if not 1 <= number <= count:
            raise SettingsError(
                found=f"slice is {text!r}",
                expected="the number of a slice, from 1, and how many there are, such as 3/20",
                fix="count an array's jobs from 1: #SBATCH --array=1-20 for slices 1/20 to 20/20",
            )
        return cls(number, count)

    def __str__(self) -> str:
        """Its name, ``3/20``."""
        return f"{self.number}/{self.count}"

    def cities(self, cities: Sequence[T]) -> list[T]:
        """Those of all cities that are in it; each is in one slice, wherever it stands."""
        return list(cities[self.number - 1 :: self.count])

    @contextmanager
    def held(self, out: Path) -> Iterator[None]:
        """Holds the slice for this process.

        Args:
            out: Folder of the batch, whose table this process holds while it begins.

        Raises:
            RunLockedError: If another process is at work on it, or on slices of another number.
        """
        with ExitStack() as stack:
            with table_held(out):
                require_no_slices(out, besides=self.count)
                folder = out / f".slice-{self.number}-of-{self.count}"
                stack.enter_context(locked(folder))
            yield


def require_no_slices(out: Path, besides: int | None = None) -> None:
    """Refuses a folder in which slices are at work.

    Args:
        out: Folder of the batch.
        besides: Number of slices that may be.

    Raises:
        RunLockedError: Names the first one that is.
    """
    for folder in sorted(out.glob(".slice-*-of-*")):
        match, holder = _FOLDER.fullmatch(folder.name), owner(folder)
        if match is None or holder is None or int(match[2]) == besides:
            continue
        raise RunLockedError(
            found=f"slice {match[1]}/{match[2]} of {out} is in use by process {holder.pid} on "
            f"{holder.host} since {holder.start}",
            expected="slices of one number at a time, or a batch as a whole",
            fix=f"wait for it; if it is gone, remove {folder}",
        )


@contextmanager
def table_held(out: Path) -> Iterator[OwnedFolder]:
    """Holds the folder of a batch for the moment of a writing, after others that do.

    Raises:
        RunLockedError: If it is held by another process for ``WAIT_S``, as by a whole batch.
        RequestError: As ``owned_folder.held``.
    """
    start = time.monotonic()
    with ExitStack() as stack:
        while True:
            try:
                signs = signs_of_old(out / TABLE)
                owned = stack.enter_context(held(out, BATCH, signs=signs, names=(TABLE,)))
                break
            except RunLockedError:
                if time.monotonic() - start > WAIT_S:
                    raise
            time.sleep(0.05)
        owned.kept = True
        yield owned
