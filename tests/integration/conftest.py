"""A finished run for the tests of what is made from it."""

import shutil
import subprocess
from pathlib import Path

import pytest
from inputs import write_scene

from landcover_pnp.config import load_settings
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.settings import MapSettings

TILES = ["--tiles.core_px", "30", "--tiles.halo_px", "8"]
"""2 x 2 tiles on the 60 x 60 px of the standard scene."""


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    map_city(load_settings(MapSettings, write_scene(folder), TILES), folder / "city")
    return folder / "city"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of the run."""
    return Path(shutil.copytree(finished, tmp_path / "city"))


@pytest.fixture(scope="session")
def qgis_python() -> str:
    """The Python that has QGIS."""
    for python in ("/usr/bin/python3", shutil.which("python3")):
        ask = [python, "-c", "import qgis.core"]
        if python and not subprocess.run(ask, capture_output=True).returncode:  # type: ignore[arg-type]
            return python
    pytest.skip("no Python with QGIS (Debian: python3-qgis)")
