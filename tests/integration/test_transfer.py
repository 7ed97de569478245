import dataclasses
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from inputs import ORIGIN, colours, two_halves, write_scene, write_tif
from pages import viewer

from landcover_pnp.errors import (
    GridError,
    LegendError,
    RasterError,
    RequestError,
    SettingsError,
    TileError,
)
from landcover_pnp.inference.engines.evidence import EvidenceSettings
from landcover_pnp.inference.settings import InferenceSettings
from landcover_pnp.pipeline import tiles
from landcover_pnp.pipeline.settings import TileSettings
from landcover_pnp.pipeline.transfer import scores
from landcover_pnp.pipeline.transfer.settings import TransferCity, TransferSettings
from landcover_pnp.pipeline.transfer.stage import run_transfer
from landcover_pnp.products.page import leaflet
from landcover_pnp.scenes.settings import EnviroAtlasTile, RasterFiles, SyntheticSettings, TruthFile
from landcover_pnp.student.image_models import Forest, TrainingWindow
from landcover_pnp.student.settings import ForestSettings, StudentSettings

STUDENT = StudentSettings(rounds=1, forest=ForestSettings(trees=3, sample_px=1000))
METHODS: Any = ["majority", "source_forest", "weak_labels", "evidence", "student"]


def files(folder: Path, **layers: Any) -> RasterFiles:
    """A small city: forest and developed land."""
    write_scene(folder, **layers)
    truth = TruthFile(folder / "truth.tif", "enviroatlas")
    return RasterFiles(folder / "image.tif", folder / "nlcd.tif", truth=truth)


DEAF = EvidenceSettings(spectral_indices=False)


def settings(folder: Path, target: RasterFiles | None = None, **changes: Any) -> TransferSettings:
    """Two small cities, quick methods."""
    source = TransferCity("source", rasters=files(folder / "source"))
    target = target or files(folder / "target")
    plan = TransferSettings(
        source,
        [TransferCity("target", rasters=target)],
        matrix_sources=["source"],
        methods=METHODS,
        inference=InferenceSettings("evidence", options={"evidence": DEAF}),
        student=STUDENT,
        workers=0,
    )
    return dataclasses.replace(plan, **changes)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Everything that is opened in this process, in order, and when the scoring began."""
    names: list[str] = []
    real, score = rasterio.open, scores.score_maps

    def spy(path: Any, *args: Any, **words: Any) -> Any:
        names.append(str(path))
        return real(path, *args, **words)

    def begin(*args: Any) -> Any:
        names.append("scoring")
        return score(*args)

    monkeypatch.setattr(rasterio, "open", spy)
    monkeypatch.setattr("landcover_pnp.pipeline.transfer.stage.score_maps", begin)
    yield names


@pytest.mark.filterwarnings("ignore:no mapped roads or buildings")
def test_truth_of_a_target_is_opened_by_the_scoring_alone(
    tmp_path: Path, opened: list[str]
) -> None:
    plan = settings(tmp_path, matrix_sources=["source", "definitions_refined"])
    canary = tmp_path / "target" / "truth.tif"
    opened.clear()  # of what writing the inputs has opened
    run_transfer(plan, tmp_path / "run")
    trained, scored = opened[: opened.index("scoring")], opened[opened.index("scoring") :]
    assert str(canary) not in trained
    assert str(canary) in scored
    assert any("source" in name and "truth" in name for name in trained)  # the spy sees truths
    copies = (tmp_path / "run" / "target").rglob("scene/truth.tif")
    assert not list(copies)


def test_a_model_is_not_taught_on_other_bands_than_it_shall_see(tmp_path: Path) -> None:
    plan = settings(tmp_path, methods=["source_forest"])
    write_tif(tmp_path / "target" / "image.tif", colours(bands=4))
    with pytest.raises(SettingsError, match=r"3 bands .*\(source\) and 4 bands .*\(target\)"):
        run_transfer(plan, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_model_is_not_taught_on_other_pixels_than_it_shall_see(tmp_path: Path) -> None:
    plan = settings(tmp_path, methods=["source_forest"])
    write_tif(tmp_path / "target" / "image.tif", colours(size=120), 2.0)
    with pytest.raises(SettingsError, match=r"at 1 m \(source\) and .* at 2 m \(target\)"):
        run_transfer(plan, tmp_path / "run")
    run_transfer(dataclasses.replace(plan, methods=["student"]), tmp_path / "run")


def test_pixels_without_image_teach_nothing(tmp_path: Path) -> None:
    image = colours()
    image[:, :, :160] = 0
    source = files(tmp_path / "source", image=image)
    source = dataclasses.replace(source, black_is_no_data=True)
    plan = settings(tmp_path, methods=["majority"])
    plan = dataclasses.replace(plan, source=TransferCity("source", rasters=source))
    write_tif(source.image, image)
    labels = two_halves(40, 20)
    labels[:, :150] = 40
    write_tif(tmp_path / "source" / "truth.tif", labels)
    run_transfer(plan, tmp_path / "run")
    with rasterio.open(tmp_path / "run" / "target" / "any" / "majority.tif") as mapped:
        assert (mapped.read(1) == 2).all()  # most of the truth is forest, below the black


def test_an_ablation_of_tones_has_no_teacher_that_counts_them(tmp_path: Path) -> None:
    denoise = InferenceSettings("denoise")
    plan = settings(tmp_path, methods=["student_no_indices"], inference=denoise)
    with pytest.raises(SettingsError, match="uses spectral indices"):
        run_transfer(plan, tmp_path / "run")


def test_the_ablation_leaves_out_what_it_says(tmp_path: Path) -> None:
    student = dataclasses.replace(STUDENT, teacher="evidence")
    methods: Any = ["weak_labels", "evidence", "map", "student", "student_no_indices"]
    plan = settings(tmp_path, methods=methods, student=student)
    page = run_transfer(plan, tmp_path / "run").report.read_text()
    assert "<td>without student</td>" in page
    assert "without student and prior" not in page  # there is no prior in it to be left out


def test_truth_without_any_class_is_named(tmp_path: Path) -> None:
    plan = settings(tmp_path, methods=["weak_labels"])
    write_tif(tmp_path / "target" / "truth.tif", two_halves(0, 0))
    with pytest.raises(LegendError, match="no labelled pixel"):
        run_transfer(plan, tmp_path / "run")


def test_tiles_that_failed_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = settings(tmp_path, methods=["evidence"], tiles=TileSettings(core_px=30, halo_px=8))

    infer, calls, said = tiles.infer_each, itertools.count(), list[str]()

    def fails_once(*words: Any) -> Any:
        if next(calls) == 1:
            raise TileError("a bad tile", "a good one", "none")
        return infer(*words)

    monkeypatch.setattr(tiles, "infer_each", fails_once)
    once = run_transfer(plan, tmp_path / "run", said.append)
    assert (once.incomplete, once.exit_code) == (1, 3)
    assert sum("a bad tile" in line for line in said) == 1
    again = run_transfer(plan, tmp_path / "run")
    assert (again.incomplete, again.exit_code) == (0, 0)


def test_a_target_whose_truth_is_rubbish_is_mapped_all_the_same(tmp_path: Path) -> None:
    plan = settings(tmp_path)
    canary = tmp_path / "target" / "truth.tif"
    canary.write_bytes(b"whoever reads this has cheated")
    with pytest.raises(
        RasterError, match=r"truth\.tif \(truth\) is not a raster"
    ):  # by the scoring
        run_transfer(plan, tmp_path / "run")
    maps = {path.stem for path in (tmp_path / "run" / "target" / "source").glob("*.tif")}
    assert maps == {"weak_labels", "evidence", "student"}


def test_maps_outlive_truth_that_cannot_be_learned_from(tmp_path: Path) -> None:
    labels = two_halves(40, 20)
    labels[0, 0] = 99
    target = files(tmp_path / "target", truth=labels)
    plan = settings(tmp_path, target, methods=["evidence", "half_city"])
    with pytest.raises(LegendError, match="99"):
        run_transfer(plan, tmp_path / "run")
    assert (tmp_path / "run" / "target" / "source" / "evidence.tif").is_file()


def test_a_change_cut_short_and_taken_back_leaves_no_mixture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, plan = tmp_path / "run", settings(tmp_path, methods=["student"])
    run_transfer(plan, run)
    path = run / "target" / "source" / "probabilities" / "student.tif"
    whole = path.read_bytes()
    forest = ForestSettings(trees=2, sample_px=500)
    with monkeypatch.context() as killed:

        def kill(*_: object) -> None:
            if path.read_bytes() != whole:
                raise KeyboardInterrupt

        killed.setattr(
            "landcover_pnp.pipeline.transfer.maps.file_hashes", lambda *words: kill(*words) or {}
        )
        with pytest.raises(KeyboardInterrupt):
            run_transfer(dataclasses.replace(plan, student=StudentSettings(forest=forest)), run)
    run_transfer(plan, run)
    assert path.read_bytes() == whole


def test_maps_table_and_report(tmp_path: Path) -> None:
    run, plan = tmp_path / "run", settings(tmp_path, matrix_sources=["source", "definitions"])
    said: list[str] = []
    first = run_transfer(plan, run, said.append)
    assert (first.maps, first.kept, first.scored) == (16, 0, 2)
    assert sum("target, any, majority" in line for line in said) == 1  # not once a matrix source
    again = run_transfer(plan, run)
    assert (again.maps, again.kept) == (16, 16)
    for city in ("source", "target"):
        for path in [*(f"source/{m}.tif" for m in METHODS[2:]), "any/majority.tif"]:
            with rasterio.open(run / city / path) as source:
                assert source.crs.to_epsg() == 26917
                assert source.read(1).any()
    rows = json.loads((run / "results.json").read_text())["rows"]
    assert len(rows) == 16
    student = next(r for r in rows if (r["city"], r["method"]) == ("target", "student"))
    assert student["intervals"]["accuracy"][0] > 0.95
    assert student["iou"]["water"] is None  # absent from the truth, not 0
    assert student["gains"].keys() == {"weak_labels", "evidence"}
    report = first.report.read_text()
    own = report.replace(leaflet("leaflet.js"), "")
    assert not re.findall(r"(?:src|href)=(?!\"(?:data:|#))", own)
    assert report.count('class="frame"') == 2, "a viewer a city"
    layers = [layer["name"] for layer in viewer(report)["layers"]]
    assert layers[0] == "truth" and len(set(layers)) == len(layers) == 9
    assert "student" in first.table.read_text()


def test_a_report_shows_what_the_maps_and_scores_were_made_of(tmp_path: Path) -> None:
    plan = settings(tmp_path, methods=["weak_labels"])
    images, labels = tmp_path / "target" / "images", two_halves(40, 20)
    images.mkdir()
    write_tif(images / "left.tif", colours()[..., :120])
    write_tif(images / "right.tif", colours()[..., 120:], origin=(ORIGIN[0] + 120, ORIGIN[1]))
    labels[:60] = 255
    write_tif(tmp_path / "target" / "truth.tif", labels, nodata=255)
    target = dataclasses.replace(plan.targets[0].rasters, image=images)
    plan = dataclasses.replace(plan, targets=[TransferCity("target", rasters=target)])
    summary = run_transfer(plan, tmp_path / "run")
    rows = json.loads((tmp_path / "run" / "results.json").read_text())["rows"]
    assert {r["city"]: r["pixels"] for r in rows} == {"source": 240 * 240, "target": 180 * 240}
    assert summary.report.is_file()


def test_a_city_without_truth_is_mapped_and_not_scored(tmp_path: Path) -> None:
    target = dataclasses.replace(files(tmp_path / "target"), truth=None)
    plan = settings(tmp_path, target, matrix_sources=["source", "target"], methods=["evidence"])
    summary = run_transfer(plan, tmp_path / "run")
    assert summary.scored == 1
    assert (tmp_path / "run" / "target" / "source" / "evidence.tif").is_file()
    assert not (tmp_path / "run" / "target" / "target").exists()


def test_a_city_that_no_protocol_maps_is_reported_so(tmp_path: Path) -> None:
    target = dataclasses.replace(files(tmp_path / "target"), truth=None)
    plan = settings(tmp_path, target, matrix_sources=["target"], methods=["evidence"])
    summary = run_transfer(plan, tmp_path / "run")
    assert (summary.maps, summary.scored) == (1, 1)
    assert "No map: " in summary.report.read_text()
    assert "## target\n\nNo map: " in summary.table.read_text()


def test_the_sources_matrix_is_counted_on_the_runs_grid(tmp_path: Path) -> None:
    plan = settings(tmp_path, methods=["weak_labels"], resolution_m=8.0)
    run_transfer(plan, tmp_path / "run")
    scene = json.loads((tmp_path / "run" / "cities" / "source.yaml").read_text())["scene"]
    assert scene["resolution_m"] == 8.0


def test_a_synthetic_city_is_drawn(tmp_path: Path) -> None:
    drawn = TransferCity("desert", synthetic=SyntheticSettings("desert", 128, 1))
    plan = settings(tmp_path, targets=[drawn], methods=["weak_labels"])
    assert run_transfer(plan, tmp_path / "run").scored == 2


def tiles_of_a_city(root: Path, names: Iterable[str]) -> EnviroAtlasTile:
    """Tiles of a city in the data set's folders, each with half a forest."""
    layers = {"a_naip": colours(), "b_nlcd": two_halves(41, 24)}
    layers |= {"h_highres_labels": two_halves(40, 20)}
    layers |= {name: np.zeros((240, 240), np.uint8) for name in ("c_roads", "d_water")}
    folder = root / "town-test_tiles-debuffered"
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        place = (ORIGIN[0] + 1000 * number, ORIGIN[1])
        for layer, pixels in {**layers, "e_buildings": layers["c_roads"]}.items():
            write_tif(folder / f"{name}_{layer}.tif", pixels, origin=place)
    return EnviroAtlasTile(root, "town", "test")


def test_several_tiles_several_seeds_and_half_a_city(tmp_path: Path) -> None:
    town = TransferCity("town", enviroatlas=tiles_of_a_city(tmp_path / "data", ["a", "b"]))
    run, methods = tmp_path / "run", ["evidence", "student", "half_city"]
    plan = settings(
        tmp_path, targets=[town], methods=methods, seeds=[0, 1], interval_over_seeds=True
    )
    summary = run_transfer(plan, run)
    assert summary.maps == 2 * (1 + 2 + 2)
    for tile in ("a", "b"):
        for name in ("evidence", "student", "student-seed1"):
            assert (run / "town" / "source" / tile / f"{name}.tif").is_file()
        with rasterio.open(run / "town" / "any" / tile / "half_city.tif") as source:
            half = source.read(1)
        assert not half[:, :120].any()  # what was learned from
        assert (half[:, 120:] == 4).all()  # trees are all it has learned of
    results = json.loads((run / "results.json").read_text())
    mapped = {(r["method"], r["seed"]): r["pixels"] for r in results["rows"] if r["city"] == "town"}
    assert mapped["student", 1] == 2 * 240 * 240  # both tiles count
    assert mapped["half_city", 0] == 240 * 240
    assert {key for key in results["over_seeds"] if key.startswith("town")} == {
        "town/source/student",
        "town/any/half_city",
    }
    assert "Over seeds, student" in summary.table.read_text()
    again = run_transfer(plan, run)
    assert again.kept == again.maps == summary.maps


def test_a_target_s_matrix_is_counted_in_all_of_its_tiles(tmp_path: Path) -> None:
    """As published: with a tile's own it would leak more."""
    tiles_there = tiles_of_a_city(tmp_path / "data", ["a", "b"])
    other = tmp_path / "data" / "town-test_tiles-debuffered" / "b_h_highres_labels.tif"
    write_tif(other, two_halves(70, 20), origin=(ORIGIN[0] + 1000, ORIGIN[1]))
    town = TransferCity("town", enviroatlas=tiles_there)
    plan = settings(tmp_path, targets=[town], matrix_sources=["target"], methods=["weak_labels"])
    run_transfer(plan, tmp_path / "run")
    for tile in ("a", "b"):
        path = tmp_path / "run" / "town" / "target" / tile / "probabilities" / "weak_labels.tif"
        with rasterio.open(path) as source:
            p = source.read()[:, 10, 10] / 65535  # where NLCD knows forest alone
        np.testing.assert_allclose(p[3:], 0.5, atol=0.01)


def test_seeds_share_no_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used, fit = list[int](), Forest.fit

    def noted(self: Forest, training_windows: Sequence[TrainingWindow], seed: int) -> None:
        used.append(seed)
        fit(self, training_windows, seed)

    monkeypatch.setattr(Forest, "fit", noted)
    student = dataclasses.replace(STUDENT, rounds=2, settled=0)
    plan = settings(tmp_path, methods=["student"], seeds=[0, 1], student=student)
    run_transfer(plan, tmp_path / "run")
    assert len(used) == 8
    assert len(set(used)) == 4  # in each of the two cities


@pytest.mark.parametrize(
    ("truth", "error", "found"),
    [
        ({"pixels": two_halves(40, 99)}, LegendError, "99"),
        ({"pixels": two_halves(40, 20), "origin": (9000.0, 9000.0)}, GridError, "overlap"),
    ],
)
def test_truth_of_another_legend_or_place(
    tmp_path: Path, truth: dict[str, Any], error: type[RequestError], found: str
) -> None:
    plan = settings(tmp_path, methods=["weak_labels"])
    write_tif(tmp_path / "target" / "truth.tif", **truth)
    with pytest.raises(error, match=found):
        run_transfer(plan, tmp_path / "run")


def test_requests_that_make_no_sense(tmp_path: Path) -> None:
    plan = settings(tmp_path)
    twice = dataclasses.replace(plan, targets=[plan.source])
    seeds = dataclasses.replace(plan, interval_over_seeds=True)
    nameless = dataclasses.replace(plan, targets=[TransferCity("nothing")])
    blind = dataclasses.replace(plan.targets[0].rasters, image=tmp_path / "none.tif")
    no_image = dataclasses.replace(plan, targets=[TransferCity("target", rasters=blind)])
    idle = dataclasses.replace(plan, methods=[])
    lawless = dataclasses.replace(plan, matrix_sources=[])
    unlabelled = dataclasses.replace(plan.source.rasters, truth=None)
    no_labels = dataclasses.replace(plan, source=TransferCity("source", rasters=unlabelled))
    for wrong, error, message in (
        (twice, SettingsError, "twice"),
        (seeds, SettingsError, "two different seeds"),
        (nameless, SettingsError, "exactly one"),
        (idle, SettingsError, "no methods"),
        (lawless, SettingsError, "no matrix sources"),
        (no_image, RasterError, "no file"),
        (no_labels, SettingsError, "no truth"),
    ):
        with pytest.raises(error, match=message):
            run_transfer(wrong, tmp_path / "run")
    assert not np.any([path.suffix == ".tif" for path in (tmp_path / "run").rglob("*")])
