"""Engines for tests: packages with one, and one that returns what it is told."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from landcover_pnp.inference.observations import Observations

DOCUMENT = Path(__file__).parents[1] / "docs" / "engines.md"


def example() -> str:
    """The engine that docs/engines.md shows."""
    found = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return found[1]


def install(folder: Path, package: str, code: str, **engines: str) -> Path:
    """Writes a distribution of one module of the same name, and returns where it lies.

    Args:
        folder: An empty folder, or one with other distributions.
        package: Name of the distribution and of its module.
        code: The module.
        **engines: What the entry points name in the module, by their names.
    """
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / f"{package}.py").write_text(code, encoding="utf-8")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    points = [f"{name} = {package}{':' * bool(what)}{what}" for name, what in engines.items()]
    (info / "entry_points.txt").write_text("[landcover_pnp.engines]\n" + "\n".join(points) + "\n")
    return folder


def observations(seed: int = 0) -> Observations:
    """A small canvas with data at four of five pixels."""
    random = np.random.default_rng(seed)
    clusters, weak = (random.dirichlet(np.ones(n), (6, 8)).transpose(2, 0, 1) for n in (3, 5))
    valid = random.random((6, 8)) < 0.8
    return Observations(clusters.astype("f4"), weak.astype("f4"), valid, (0, 0))


@dataclass(frozen=True)
class OwnSettings:
    """Settings of engines in this file."""

    weight: float = 1.0


class Own:
    """An engine of the running program that returns what it is told."""

    name, needs_prior, Settings = "own", False, OwnSettings
    returned: Any = None

    def check(self, settings: OwnSettings, prior: Any) -> None:
        """Takes everything."""

    def run(self, task: Any) -> Any:
        """Returns it, or raises it."""
        if isinstance(self.returned, Exception):
            raise self.returned
        return self.returned
