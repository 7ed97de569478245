"""The package's wheel and source distribution, made of a copy outside of git, so without tags."""

import shutil
import tarfile
from pathlib import Path
from typing import Literal

from build import ProjectBuilder
from pyproject_hooks import quiet_subprocess_runner

ROOT = Path(__file__).parents[1]

FILES = ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff")
"""What a distribution is made of, beside the folders of the package and of README's pictures."""


def copied_source(folder: Path) -> Path:
    """The files that distributions are made of, copied so that nothing is left beside them."""
    for name in FILES:
        shutil.copy(ROOT / name, folder)
    shutil.copytree(
        ROOT / "landcover_pnp",
        folder / "landcover_pnp",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    (folder / "docs").mkdir()
    for picture in (ROOT / "docs").glob("*.png"):
        shutil.copy(picture, folder / "docs")
    return folder


def built(source: Path, kind: Literal["wheel", "sdist"], out: Path) -> Path:
    """A distribution of a source folder, in ``out``."""
    return Path(ProjectBuilder(source, runner=quiet_subprocess_runner).build(kind, out))


def unpacked(sdist: Path, out: Path) -> Path:
    """The folder that a source distribution holds."""
    with tarfile.open(sdist) as archive:
        archive.extractall(out, filter="data")
    (folder,) = out.iterdir()
    return folder
