"""A finished run as one dataset: legend as CF flags, CRS, pixels read as they are used."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401
from inputs import write_scene

from landcover_pnp.config import load_settings
from landcover_pnp.errors import RasterError
from landcover_pnp.legend import WORKING
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.products.dataset import open_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("city")
    settings = load_settings(MapSettings, write_scene(folder / "city"), ["--workers", "0"])
    map_city(settings, folder / "run")
    return folder / "run"


def test_the_legend_stands_in_the_attributes_as_cf_flags(run: Path) -> None:
    attributes = open_run(run).landcover.attrs
    assert attributes["flag_values"].tolist() == list(WORKING.codes)
    names = attributes["flag_meanings"].split()
    assert [name.replace("_", " ") for name in names] == list(WORKING.names)
    colours = attributes["flag_colors"].split()
    assert colours[0] == "#00c5ff"
    assert len(colours) == len(names) == 5


def test_pixels_are_those_of_the_files_in_any_window(run: Path) -> None:
    result = open_run(run)
    with rasterio.open(run / "landcover.tif") as source:
        whole = source.read(1)
    windows = [np.s_[:, :], np.s_[3:9, 40:], np.s_[::-1, ::7], np.s_[-1, 5], np.s_[5:5, :]]
    for window in windows:
        np.testing.assert_array_equal(result.landcover[window], whole[window])
    with rasterio.open(run / "probabilities" / "map.tif") as source:
        stored = source.read().astype(np.float32)
    p = result.probabilities[1:3, 10:20, ::-2].values
    np.testing.assert_allclose(p, (stored / stored.sum(0))[1:3, 10:20, ::-2])
    np.testing.assert_allclose(result.probabilities.sum("class"), 1, atol=1e-6)
    assert result.probabilities["class"].values.tolist() == list(WORKING.names)


def test_rioxarray_finds_crs_grid_and_no_data(run: Path) -> None:
    result = open_run(run)
    with rasterio.open(run / "landcover.tif") as source:
        assert result.rio.crs == source.crs
        assert result.landcover.rio.transform() == source.transform
    assert result.landcover.rio.nodata == 0
    assert result.confidence.rio.nodata == 255


def test_a_notebook_shows_the_map_and_its_legend(run: Path) -> None:
    shown = open_run(run)._repr_html_()
    assert "data:image/png;base64," in shown
    assert all(name in shown for name in WORKING.names)
    without = open_run(run).drop_vars("landcover")
    assert "data:image/png" not in without._repr_html_()


def test_a_folder_without_a_map_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RasterError, match="no finished map"):
        open_run(tmp_path)


def test_opening_loads_nothing_heavy(run: Path) -> None:
    program = (
        "import sys; from landcover_pnp.products.dataset import open_run\n"
        "open_run(sys.argv[1])\n"
        "print({'torch', 'diffusers', 'distributed', 'rioxarray'} & set(sys.modules))"
    )  # xarray itself imports dask.array with the first array it makes
    done = subprocess.run([sys.executable, "-c", program, run], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr
