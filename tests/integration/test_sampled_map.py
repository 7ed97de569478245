"""Posterior samples as a stage of a map run: frequencies, areas with intervals, what is said."""

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from inputs import colours, two_halves, write_scene
from masked_priors import tiny_masked

from landcover_pnp.cli.main import main
from landcover_pnp.config import load_settings
from landcover_pnp.errors import PriorError, SettingsError
from landcover_pnp.legend import WORKING
from landcover_pnp.pipeline import sample_plan
from landcover_pnp.pipeline.map import MapSummary, map_city
from landcover_pnp.pipeline.sample_tiles import counts_of, figures_of
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.pipeline.verification import verify_run
from landcover_pnp.pipeline.working_map import WorkingMap
from landcover_pnp.products.areas import KIND, SampledAreas
from landcover_pnp.products.dataset import open_run
from landcover_pnp.products.finished import FinishedRun
from landcover_pnp.products.report import write_report
from landcover_pnp.storage.run_folder import RunFolder

SIZE = 128
WORDS = ("--tiles.core_px", "16", "--tiles.halo_px", "4", "--workers", "0", "--samples", "3")
"""2 x 2 tiles on 32 x 32 working pixels."""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sampled")
    tiny_masked().save(folder / "prior")
    return write_scene(folder, image=colours(size=SIZE), nlcd=two_halves(41, 24, SIZE),
                       truth=two_halves(40, 20, SIZE))  # fmt: skip


def mapped(config: Path, run: Path, *words: str) -> MapSummary:
    own = ("--inference.prior", str(config.parent / "prior"))
    return map_city(load_settings(MapSettings, config, [*WORDS, *own, *words]), run)


@pytest.fixture(scope="module")
def run(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "run"
    assert mapped(config, folder).exit_code == 0
    return folder


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Iterator[Path]:
    yield Path(shutil.copytree(run, tmp_path / "run"))


def sampled_bytes(run: Path) -> dict[str, bytes]:
    paths = RunFolder(run)
    rasters = [
        paths.sampled.frequencies,
        paths.sampled.areas,
        *sorted(paths.sampled.posterior.glob("*.tif")),
    ]
    return {path.name: path.read_bytes() for path in rasters}


def test_frequencies_and_areas_agree(run: Path) -> None:
    paths = RunFolder(run)
    with rasterio.open(paths.sampled.frequencies) as source:
        stored = source.read()
        assert source.res == (4, 4)
    np.testing.assert_allclose(stored.sum(axis=0, dtype=float), 65535, atol=3)
    assert set(np.unique(stored)) <= {0, 21845, 43690, 65535}  # thirds: three samples
    told = SampledAreas.read(json.loads(paths.summary.read_text()))
    assert told is not None
    hectares = stored.mean(axis=(1, 2)) / 65535 * (SIZE / 100) ** 2
    means = [area.mean_ha for area in told.classes.values()]
    np.testing.assert_allclose(means, hectares, atol=1e-3)
    for area in told.classes.values():
        assert area.low_ha <= area.mean_ha <= area.high_ha
    with paths.sampled.areas.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == list(WORKING.names)
    assert {row["interval"] for row in rows} == {f"{KIND}, 90 %"}
    assert float(rows[1]["high_ha"]) == told.classes["impervious"].high_ha


def test_a_tile_that_is_gone_is_drawn_again_with_the_same_bytes(
    config: Path, run: Path, copy: Path
) -> None:
    """Seeds belong to the ground: neither order nor number of restarts counts."""
    before = sampled_bytes(run)
    paths = RunFolder(copy)
    for name in ("r0001c0001.json", "r0000c0001.tif"):
        (paths.sampled.posterior / name).unlink()
    paths.sampled.frequencies_record.unlink()
    summary = mapped(config, copy)
    assert summary.exit_code == 0
    assert sampled_bytes(copy) == before
    assert verify_run(copy).faults == {}
    stood = (paths.sampled.posterior / "r0000c0000.tif").stat().st_mtime_ns
    assert stood == (RunFolder(run).sampled.posterior / "r0000c0000.tif").stat().st_mtime_ns


@pytest.mark.laws
def test_worker_processes_draw_the_same_bytes(config: Path, run: Path, tmp_path: Path) -> None:
    mapped(config, tmp_path / "run", "--workers", "2")
    assert sampled_bytes(tmp_path / "run") == sampled_bytes(run)


def test_samples_that_are_no_longer_asked_for_go(config: Path, copy: Path) -> None:
    summary = mapped(config, copy, "--samples", "0")
    assert summary.areas is None
    paths = RunFolder(copy)
    left = [*paths.path.glob("areas*"), *paths.probabilities.glob("frequencies*")]
    assert left == []
    assert not list(paths.sampled.posterior.glob("*"))
    assert "areas" not in json.loads(paths.summary.read_text())
    assert verify_run(copy).faults == {}


def test_the_map_has_areas_with_intervals(run: Path) -> None:
    result = open_run(run)
    assert list(result["area"].dims) == ["class"]
    assert result["area_high"].attrs["interval"] == f"{KIND}, 90 %"
    assert (result["area_low"] <= result["area_high"]).all()
    assert float(result["area"].sum()) == pytest.approx((SIZE / 100) ** 2, abs=0.01)


def test_the_report_does_not_confuse_the_two_intervals(run: Path, tmp_path: Path) -> None:
    page = write_report(FinishedRun.open(run), run, tmp_path / "r.html", "A city").read_text()
    assert f"<th>{KIND}, 90 %</th>" in page
    assert "design-based interval" in page
    assert "landcover assess" in page
    assert "no ground\nwas looked at" in page


def test_damaged_frequencies_are_seen(copy: Path) -> None:
    RunFolder(copy).sampled.frequencies.write_bytes(b"no raster")
    assert "probabilities/frequencies.tif" in verify_run(copy).faults


@pytest.mark.parametrize("samples", ["1", "-2", "100000"])
def test_fewer_than_two_samples_are_refused(
    samples: str, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["map", str(config), "--run", str(tmp_path / "run"), "--samples", samples]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert f"samples is {samples}" in said
    assert "one map tells nothing of an interval" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("words", [(), ("--inference.engine", "fill")])
def test_samples_that_would_not_heed_the_map_are_refused(
    words: tuple[str, ...], config: Path, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="evidence_weight is 0") as refused:
        mapped(config, tmp_path / "run", *words, "--inference.fill.evidence_weight", "0")
    assert "set samples to 0" in refused.value.fix
    assert not (tmp_path / "run").exists()


def test_another_grid_than_the_prior_s_is_refused(config: Path, tmp_path: Path) -> None:
    with pytest.raises(PriorError, match="needed for the samples of the map") as refused:
        mapped(config, tmp_path / "run", "--scene.resolution_m", "8")
    assert "3.6 to 4.4 m" in str(refused.value)
    assert not (tmp_path / "run").exists()


def test_which_prior_the_samples_come_from_is_said(
    config: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = json.loads(RunFolder(run).summary.read_text())["notes"]
    assert any(f"3 samples of the map are drawn from the masked prior {config.parent}" in n
               for n in notes)  # fmt: skip
    monkeypatch.setattr(sample_plan, "masked_prior", lambda *_: tiny_masked())
    gaussian = Path(sample_plan.__file__).parents[1] / "prior" / "shipped"
    settings = load_settings(
        MapSettings, config, ["--samples", "2", "--inference.prior", str(gaussian)]
    )
    plan = sample_plan.plan_samples(settings)
    assert plan is not None
    assert "the shipped masked prior, since" in plan.note
    assert plan.prior is None


def test_counts_survive_a_record() -> None:
    counts = np.arange(15).reshape(3, 5)
    np.testing.assert_array_equal(counts_of(figures_of(counts), 3), counts)


def test_pixels_of_a_large_map_are_thinned_over_all_of_it(run: Path) -> None:
    paths = RunFolder(run)
    with rasterio.open(paths.probability("map")) as source:
        extent = FinishedRun.open(run).scene.extent
        assert (source.height, source.width) == extent.shape
    working = WorkingMap.of(run, FinishedRun.open(run).scene.geobox, student=False)
    assert working.sample(10**6).shape == (5, 32 * 32)
    few = working.sample(100)
    assert few.shape == (5, 64)
    np.testing.assert_allclose(few.mean(axis=1), working.read(extent).mean(axis=(1, 2)), atol=0.05)


def test_one_sample_is_refused_in_python_too(config: Path) -> None:
    with pytest.raises(SettingsError, match="samples is 1"):
        load_settings(MapSettings, config, ["--samples", "1"])
