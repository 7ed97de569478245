"""Maps on the image's own pixels: of a student all of them, without one the working grid, said."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from inputs import colours, two_halves, write_tif

from landcover_pnp.cli import main
from landcover_pnp.config import load_settings
from landcover_pnp.pipeline.map import MapSummary, map_city
from landcover_pnp.pipeline.settings import MapSettings

WORDS = [
    *("--tiles.core_px", "8", "--tiles.halo_px", "3", "--clusters.clusters", "3"),
    *("--student.rounds", "1", "--student.forest.trees", "2", "--student.forest.sample_px", "900"),
    *("--student.spectral_indices", "false"),
]
"""2 x 2 tiles on the 15 x 16 working pixels of 3.9 m that 191 x 203 pixels of 0.3 m become."""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fine")
    write_tif(folder / "image.tif", colours(size=203)[:, :191], 0.3)
    write_tif(folder / "nlcd.tif", two_halves(41, 24, 203)[:191], 0.3)
    config = folder / "scene.yaml"
    config.write_text(
        "scene:\n  rasters: {image: image.tif, nlcd: nlcd.tif}\n"
        "weak_labels: {refinement: null}\nworkers: 0\n"
        "inference: {engine: evidence, evidence: {spectral_indices: false}}\n"
    )
    return config


def mapped(config: Path, *words: str) -> MapSummary:
    return map_city(load_settings(MapSettings, config, [*WORDS, *words]), config.parent / "run")


@pytest.fixture(scope="module")
def summaries(config: Path) -> tuple[MapSummary, MapSummary]:
    """Without a student, then with one in the same folder."""
    without = mapped(config, *["--student", "null"])
    with rasterio.open(without.products[0]) as source:
        assert source.shape == (15, 16)
        assert source.res == pytest.approx((3.9, 3.9))
    return without, mapped(config)


def test_the_map_has_exactly_the_pixels_of_the_image(
    config: Path, summaries: tuple[MapSummary, MapSummary]
) -> None:
    run = config.parent / "run"
    assert summaries[1].progress.kept == 4
    with rasterio.open(config.parent / "image.tif") as image:
        for name in ("landcover", "confidence", "entropy", "doubt", "probabilities/student"):
            with rasterio.open(run / f"{name}.tif") as product:
                assert product.shape == image.shape, name
                np.testing.assert_allclose(product.transform, image.transform, rtol=1e-12)
                assert (product.read(1) != product.nodata).all() or name.startswith("prob"), name
    with rasterio.open(run / "landcover.tif") as source:
        labels = source.read(1)
    assert (labels[:, :90] == 4).mean() > 0.95
    assert (labels[:, 115:] == 2).mean() > 0.95


def test_which_pixels_the_map_has_is_said(
    config: Path,
    summaries: tuple[MapSummary, MapSummary],
    capsys: pytest.CaptureFixture[str],
) -> None:
    without, drawn = summaries
    assert (
        "without a student the map has the working grid of 3.9 m, not the image's pixels of 0.3 m"
        in without.notes
    )
    told = json.loads((config.parent / "run" / "summary.json").read_text())
    assert "the map has the image's own pixels of 0.3 m" in drawn.notes
    assert told["notes"] == list(drawn.notes)
    assert any("13 pixels of the image, which comes next to 4 m" in note for note in drawn.notes)
    log = (config.parent / "run" / "journal.jsonl").read_text()
    assert "without a student the map has the working grid of 3.9 m" in log
    capsys.readouterr()
    assert main(["check", str(config), "--student", "null"]) == 0
    assert "without a student the map has the working grid" in capsys.readouterr().out
