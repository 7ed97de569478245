"""``fill --samples``: known pixels are held in every sample, areas have intervals."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from inputs import write_tif
from test_fill import Nearby, a_map, cloud, pixels

from landcover_pnp.cli import main
from landcover_pnp.legend import WORKING
from landcover_pnp.pipeline.fill import FilledMap, fill_map
from landcover_pnp.pipeline.settings import FillMapSettings
from landcover_pnp.products.areas import KIND
from landcover_pnp.storage.sample_files import SampleFiles

SAMPLES = 3
SMALL: dict[str, Any] = {"window_px": 40, "halo_px": 8, "samples": SAMPLES}


@pytest.fixture(autouse=True)
def nearby(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("pipeline.fill_plan", "prior.loading"):
        monkeypatch.setattr(f"landcover_pnp.{module}.load_prior", lambda *_: Nearby())


def sampled(folder: Path, pixel_m: float, **options: Any) -> FilledMap:
    """A map in classes of its own: NLCD's codes where ``legend`` says so, else working ones."""
    codes = a_map(pixel_m)
    if options.get("legend") == "nlcd":
        codes = np.array([0, 11, 24, 31, 41, 71], np.uint8)[codes]
        codes[-20:, -20:] = 21  # of no working class
    path = write_tif(folder / "map.tif", codes, pixel_m)
    mask = write_tif(folder / "mask.tif", cloud(pixel_m), pixel_m)
    return fill_map(path, FillMapSettings(mask, folder / "out", **{**SMALL, **options}))


def stored(folder: Path) -> tuple[np.ndarray, float]:
    with rasterio.open(SampleFiles(folder / "out").frequencies) as source:
        return source.read(), source.res[0]


@pytest.mark.parametrize(("pixel_m", "legend"), [(1.0, None), (4.0, "nlcd"), (10.0, None)])
def test_areas_are_those_of_known_pixels_and_of_the_samples_holes(
    pixel_m: float, legend: str | None, tmp_path: Path
) -> None:
    done = sampled(tmp_path, pixel_m, legend=legend)
    after, layer = pixels(done.map), pixels(done.layer)
    hectare_px = 1e4 / pixel_m**2
    frequencies, side_m = stored(tmp_path)
    there = frequencies.any(axis=0)
    assert there.sum() * side_m**2 / 1e4 == pytest.approx(done.hectares, rel=0.08)
    np.testing.assert_allclose(frequencies[:, there].sum(axis=0, dtype=float), 65535, atol=3)
    assert set(np.unique(frequencies)) <= {0, 21845, 43690, 65535}  # thirds: three samples
    assert done.areas is not None
    found = done.areas.classes
    names = {11: "open water", 24: "developed, high intensity", 21: "developed, open space"}
    by_code = dict(zip(WORKING.codes, WORKING.names, strict=True)) if legend is None else names
    total = sum(area.mean_ha for area in found.values())
    assert total == pytest.approx((after > 0).sum() / hectare_px, abs=0.01)
    for code, name in by_code.items():
        assert found[name].mapped_ha == pytest.approx((after == code).sum() / hectare_px, abs=1e-3)
        known = (after[layer == 1] == code).sum() / hectare_px
        assert found[name].mean_ha >= known - 1e-3  # held in every sample
        drawn = found[name].mean_ha - known
        working = {11: 1, 24: 2}.get(code, code)
        if working <= 5:
            share = frequencies[working - 1][there].mean() / 65535
            assert drawn == pytest.approx(share * done.hectares, abs=0.08 * done.hectares)
        else:
            assert drawn == pytest.approx(0, abs=1e-3)
            assert found[name].high_ha - found[name].low_ha < 1e-3
    with SampleFiles(tmp_path / "out").areas.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == list(found)
    assert {row["interval"] for row in rows} == {f"{KIND}, 90 %"}


def contents(folder: Path) -> dict[Path, bytes]:
    """Rasters and tables; records tell seconds, and the journal calls."""
    files = sorted(p for p in folder.rglob("*") if p.suffix in {".tif", ".csv"})
    return {path.relative_to(folder): path.read_bytes() for path in files}


def test_what_stands_is_kept_and_what_is_gone_drawn_again_with_the_same_bytes(
    tmp_path: Path,
) -> None:
    first = sampled(tmp_path, 4.0)
    before = contents(tmp_path / "out")
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.*")}
    settings = FillMapSettings(tmp_path / "mask.tif", tmp_path / "out", **SMALL)
    assert fill_map(tmp_path / "map.tif", settings) == first
    changed = {p for p in stamps if p.stat().st_mtime_ns != stamps[p]}
    assert {p.name for p in changed} <= {"journal.jsonl", ".landcover"}
    files = SampleFiles(tmp_path / "out")
    (files.posterior / "r0000c0001.json").unlink()
    files.areas.unlink()
    assert fill_map(tmp_path / "map.tif", settings) == first
    assert contents(tmp_path / "out") == before
    kept = files.posterior / "r0001c0000.tif"
    assert kept.stat().st_mtime_ns == stamps[kept]


def test_samples_change_nothing_of_the_map_and_go_when_they_are_not_asked_for(
    tmp_path: Path,
) -> None:
    done = sampled(tmp_path, 4.0)
    own = tmp_path / "out" / "mine.txt"
    own.write_text("mine")
    before = pixels(done.map)
    again = fill_map(
        tmp_path / "map.tif",
        FillMapSettings(tmp_path / "mask.tif", tmp_path / "out", window_px=40, halo_px=8),
    )
    assert again.areas is None
    np.testing.assert_array_equal(pixels(again.map), before)
    files = SampleFiles(tmp_path / "out")
    assert not any(p.exists() for p in [*files.records, files.frequencies, files.path / "areas"])
    assert not list(files.posterior.glob("*"))
    assert own.read_text() == "mine"


def test_classes_that_the_map_has_not_are_in_no_sample(tmp_path: Path) -> None:
    codes = np.where(a_map(4.0) > 3, 2, a_map(4.0)).astype(np.uint8)
    path = write_tif(tmp_path / "map.tif", np.array([0, 11, 24, 31], np.uint8)[codes], 4.0)
    with rasterio.open(path, "r+") as target:  # three classes, told from their colours
        named = zip((11, 24, 31), WORKING.classes[:3], strict=True)
        target.write_colormap(1, {code: (*c.colour, 255) for code, c in named})
    mask = write_tif(tmp_path / "mask.tif", cloud(4.0), 4.0)
    done = fill_map(path, FillMapSettings(mask, tmp_path / "out", **SMALL))
    frequencies, _ = stored(tmp_path)
    assert not frequencies[3:].any()
    assert done.areas is not None
    assert sum(a.mean_ha for a in done.areas.classes.values()) == pytest.approx(
        (codes > 0).sum() * 16 / 1e4, abs=0.01
    )


@pytest.mark.parametrize("samples", ["1", "-3", "5000"])
def test_too_few_samples_are_refused_and_nothing_is_written(
    samples: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_tif(tmp_path / "map.tif", a_map(4.0), 4.0)
    mask = write_tif(tmp_path / "mask.tif", cloud(4.0), 4.0)
    words = ["fill", str(path), "--mask", str(mask), "--out", str(tmp_path / "out")]
    assert main([*words, "--samples", samples]) == 2
    told = capsys.readouterr().err
    assert f"samples is {samples}" in told
    assert "one map tells nothing of an interval" in told
    assert not (tmp_path / "out").exists()


def test_a_mask_that_hides_nothing_gives_areas_without_width(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_tif(tmp_path / "map.tif", a_map(4.0), 4.0)
    mask = write_tif(tmp_path / "mask.tif", cloud(4.0) * 0, 4.0)
    words = ["fill", str(path), "--mask", str(mask), "--out", str(tmp_path / "out"), "--json"]
    assert main([*words, "--samples", "2"]) == 0
    answer = json.loads(capsys.readouterr().out)
    for area in answer["areas"]["classes"].values():
        assert area["low_ha"] == pytest.approx(area["mapped_ha"], abs=1e-3)
        assert area["high_ha"] == pytest.approx(area["mapped_ha"], abs=1e-3)


@pytest.mark.laws
def test_any_number_of_workers_draws_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # other processes have the shipped prior
    found = []
    for workers in (0, 2):
        folder = tmp_path / str(workers)
        folder.mkdir()
        sampled(folder, 4.0, workers=workers)
        found.append(contents(folder / "out"))
    assert found[0] == found[1]
