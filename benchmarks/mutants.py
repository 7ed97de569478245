"""Applies wrong changes to core lines, one at a time, and reports those that no test notices.

    python benchmarks/mutants.py                 all changes of benchmarks/mutants.toml
    python benchmarks/mutants.py lanczos lock    those whose name or file holds one of the words

The package and its tests are copied to a temporary folder; the checkout stays as it is. Ends with
1 if a change survives without a reason given beside it.
"""

from __future__ import annotations

import compileall
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from words import parser

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "landcover_pnp"
COPIED = (PACKAGE, "tests", "benchmarks", "configs", "docs", "pyproject.toml", "README.md")
TIMEOUT_S = 300.0
"""A change that makes tests hang is noticed too."""

TIMEOUT_UNCHANGED_S = 3600.0
"""All the tests together, without any change."""


@dataclass(frozen=True)
class Mutant:
    """A wrong change.

    Attributes:
        name: What is wrong then.
        file: Module, below the package.
        old: Text that occurs in it once.
        new: What it becomes.
        tests: Files or tests, below ``tests``, one of which is to fail.
        reason: Why it may survive; empty if it may not.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    reason: str = ""

    def applied(self, text: str) -> str:
        """The module's text with the change.

        Raises:
            ValueError: If the old text is not there exactly once, or nothing changes.
        """
        if text.count(self.old) != 1 or self.old == self.new:
            raise ValueError(f"{self.name}: {self.old!r} occurs {text.count(self.old)} times")
        return text.replace(self.old, self.new)


def mutants() -> list[Mutant]:
    """All changes of ``mutants.toml``."""
    content = tomllib.loads((ROOT / "benchmarks" / "mutants.toml").read_text(encoding="utf-8"))
    return [Mutant(**{**one, "tests": tuple(one["tests"])}) for one in content["mutant"]]


def copied(folder: Path) -> Path:
    """A copy of the package and its tests, with bytecode so that each start is quick."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / name, ignore=ignored, symlinks=True)
        elif source.exists():
            shutil.copy2(source, folder / name)
    compileall.compile_dir(folder / PACKAGE, quiet=2)
    return folder


def passes(folder: Path, tests: Sequence[str], timeout_s: float = TIMEOUT_S) -> bool:
    """Whether the tests pass on a copy.

    Raises:
        RuntimeError: If they could not be run at all.
    """
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    env = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            [*command, *(f"tests/{test}" for test in tests)],
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    if done.returncode not in (0, 1, 2):  # 2: the change breaks the import
        raise RuntimeError(f"{' '.join(tests)} cannot be run:\n{done.stdout}{done.stderr}")
    return done.returncode == 0


def survives(mutant: Mutant, folder: Path) -> bool:
    """Whether the tests pass on a copy with the change, which is taken back."""
    module = folder / PACKAGE / mutant.file
    before = module.read_text(encoding="utf-8")
    # A change of the same length within the same second would go unseen by the bytecode.
    bytecode = Path(importlib.util.cache_from_source(str(module)))
    try:
        bytecode.unlink(missing_ok=True)
        module.write_text(mutant.applied(before), encoding="utf-8")
        return passes(folder, mutant.tests)
    finally:
        module.write_text(before, encoding="utf-8")


def main(words: list[str], jobs: int) -> int:
    """Runs changes, and prints what became of each.

    Args:
        words: Parts of names or files; none means all.
        jobs: Copies tested at a time.
    """
    wanted = [
        mutant
        for mutant in mutants()
        if not words or any(w in f"{mutant.file} {mutant.name}" for w in words)
    ]
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(jobs) as threads:
        free: SimpleQueue[Path] = SimpleQueue()
        for number in range(jobs):
            free.put(copied(Path(scratch) / str(number)))
        tests = list(dict.fromkeys(test for mutant in wanted for test in mutant.tests))
        # What fails without any change would kill everything.
        halves = [tests[number::jobs] for number in range(jobs)]
        folders = [free.get() for _ in halves]
        unchanged = [(f, t, TIMEOUT_UNCHANGED_S) for f, t in zip(folders, halves, strict=True) if t]
        if not all(threads.map(lambda one: passes(*one), unchanged)):
            print("the tests fail without any change: run them and mend that first")
            return 1
        for folder in folders:
            free.put(folder)

        def tried(mutant: Mutant) -> tuple[bool, float]:
            folder, start = free.get(), time.monotonic()
            try:
                return survives(mutant, folder), time.monotonic() - start
            finally:
                free.put(folder)

        survivors = []
        for mutant, (alive, seconds) in zip(wanted, threads.map(tried, wanted), strict=True):
            state = "SURVIVED" if alive else "killed"
            why = f" ({mutant.reason})" if alive and mutant.reason else ""
            print(f"{state:<9}{seconds:5.1f} s  {mutant.file}: {mutant.name}{why}", flush=True)
            survivors += [mutant] if alive else []
    killed = len(wanted) - len(survivors)
    print(f"{len(wanted)} mutants, {killed} killed, {len(survivors)} survived")
    return int(any(not mutant.reason for mutant in survivors))


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("words", nargs="*", help="parts of names or files; none means all")
    options.add_argument("--jobs", type=int, default=2, help="copies tested at a time")
    asked = options.parse_args()
    sys.exit(main(asked.words, asked.jobs))
