"""The command ``fill``: names that collide, folders of other maps, inputs that changed."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from file_server import file_server
from inputs import ORIGIN, UTM, write_tif
from numpy.typing import NDArray
from sidecars import bare, world
from test_fill import Nearby

from landcover_pnp.cli import main
from landcover_pnp.config.addresses import as_path
from landcover_pnp.legend import WORKING
from landcover_pnp.legends.result_legend import BUILDINGS_APART, ResultClass, ResultLegend
from landcover_pnp.pipeline.fill import fill_map
from landcover_pnp.pipeline.settings import FillMapSettings, FillOptions
from landcover_pnp.storage.map_legend import TAG, legend_of, legend_tags
from landcover_pnp.storage.newest import ORIGINAL, newest, original_hash
from landcover_pnp.storage.records import Record, file_hashes
from landcover_pnp.storage.remote.policy import allowed
from landcover_pnp.storage.run_folder import RunFolder

SIDE, PIXEL_M = 48, 4.0


@pytest.fixture(autouse=True)
def nearby(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("pipeline.fill_plan", "prior.loading"):
        monkeypatch.setattr(f"landcover_pnp.{module}.load_prior", lambda *_: Nearby())


def stripes(seed: int = 0) -> NDArray[np.uint8]:
    """(y, x) uint8 working classes in stripes."""
    return ((np.indices((SIDE, SIDE))[1] // 10 + seed) % 5 + 1).astype(np.uint8)


def hole(y: int = 16, x: int = 16) -> NDArray[np.uint8]:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[y : y + 12, x : x + 12] = 1
    return mask


def pixels(path: Path) -> NDArray[Any]:
    with rasterio.open(path) as source:
        found: NDArray[Any] = source.read(1)
    return found


def contents(folder: Path) -> dict[Path, bytes]:
    """All files but the log of calls and what marks the folder."""
    return {
        path: path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "journal.jsonl"
    }


def correct_by_hand(paths: RunFolder) -> NDArray[np.uint8]:
    """Makes another map the newest of a run: (y, x) its codes."""
    paths.corrected.path.mkdir()
    shutil.copyfile(paths.summary, paths.corrected.summary)
    codes = pixels(paths.landcover)
    codes[:8, :8] = codes[:8, :8] % 5 + 1
    with rasterio.open(paths.landcover) as source:
        corner = (source.bounds.left, source.bounds.top)
        write_tif(paths.corrected.landcover, codes, source.res[0], source.crs, corner)
    files = file_hashes(paths.corrected.path, [paths.corrected.landcover])
    made_of = {ORIGINAL: original_hash(paths)}
    own = paths.corrected
    own.student_mosaic_record.parent.mkdir(exist_ok=True)
    for record in (own.student_mosaic_record, own.doubt_record):
        Record("done", {}, 0.0).write(record)
    Record("done", made_of, 0.0, files=files).write(own.rasters_record)
    assert newest(paths) == paths.corrected
    return codes


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    return write_tif(tmp_path / "mask.tif", hole(), PIXEL_M)


@pytest.mark.parametrize("name", ["filled.tif", "Filled.TIF", "filled.img"])
def test_a_map_with_the_name_of_the_layer_is_refused(
    name: str, mask: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_tif(tmp_path / "map.tif", stripes(), PIXEL_M).rename(tmp_path / name)
    assert main(["fill", str(path), "--mask", str(mask), "--out", str(tmp_path / "out")]) == 2
    assert "name of the layer filled.tif" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_fill_of_another_map_is_not_replaced(
    mask: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate("ab"):
        (tmp_path / name).mkdir()
        write_tif(tmp_path / name / "map.tif", stripes(seed), PIXEL_M)
    assert main(["fill", "a/map.tif", "--mask", str(mask)]) == 0
    before = contents(tmp_path / "filled")
    assert main(["fill", "b/map.tif", "--mask", str(mask)]) == 2
    assert "another map filled" in capsys.readouterr().err
    assert contents(tmp_path / "filled") == before
    # The same map is filled again: after a change, and where it has been moved to.
    write_tif(tmp_path / "a" / "map.tif", stripes(2), PIXEL_M)
    assert main(["fill", "a/map.tif", "--mask", str(mask)]) == 0
    shutil.copyfile(tmp_path / "a" / "map.tif", tmp_path / "b" / "map.tif")
    assert main(["fill", "b/map.tif", "--mask", str(mask)]) == 0


def test_a_run_is_filled_by_its_name_its_newest_map_and_only_if_intact(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run)
    own = RunFolder(run).landcover
    ground = pixels(own)
    with rasterio.open(own) as source:
        origin, side = (source.bounds.left, source.bounds.top), source.res[0]
    hidden = np.zeros_like(ground)
    hidden[20:30, 20:30] = 1
    mask = write_tif(tmp_path / "clouds.tif", hidden, side, origin=origin)
    assert main(["fill", ".", "--mask", str(mask)]) == 2  # it would write in the run
    assert main(["fill", ".", "--mask", str(mask), "--out", str(tmp_path / "own")]) == 0
    monkeypatch.chdir(tmp_path)
    assert main(["fill", str(run), "--mask", str(mask)]) == 0
    filled = tmp_path / "filled" / run.name / own.name
    np.testing.assert_array_equal(pixels(filled)[hidden == 0], ground[hidden == 0])

    corrected = correct_by_hand(RunFolder(run))
    assert main(["fill", str(run), "--mask", str(mask)]) == 0
    np.testing.assert_array_equal(pixels(filled)[hidden == 0], corrected[hidden == 0])

    whole = own.read_bytes()
    own.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    capsys.readouterr()
    assert main(["fill", str(run), "--mask", str(mask), "--out", str(tmp_path / "new")]) == 2
    assert own.name in capsys.readouterr().err
    RunFolder(run).summary.unlink()
    assert main(["fill", str(run), "--mask", str(mask), "--out", str(tmp_path / "new")]) == 2
    assert "holds no finished map" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_mask_that_its_world_file_moves_is_another_mask(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "map.tif", stripes(), PIXEL_M)
    mask = bare(tmp_path / "mask.tif", np.kron(hole(), np.ones((4, 4), np.uint8)))
    for moved_px in (0, 5):
        world(tmp_path / "mask.tfw", moved_px * PIXEL_M)
        done = fill_map(path, FillMapSettings(mask, tmp_path / "out"))
        np.testing.assert_array_equal(pixels(done.layer) == 2, hole(x=16 + moved_px) == 1)


def test_map_and_mask_may_lie_at_addresses(tmp_path: Path) -> None:
    served = tmp_path / "served"
    served.mkdir()
    for name, layer in {"map.tif": stripes(), "mask.tif": hole()}.items():
        write_tif(served / name, layer, PIXEL_M)
    with file_server(served) as server, allowed(server.host):
        path, mask = (as_path(server.url(name)) for name in ("map.tif", "mask.tif"))
        done = fill_map(path, FillMapSettings(mask, tmp_path / "out"))
        assert fill_map(path, FillMapSettings(mask, tmp_path / "out")) == done
    local = fill_map(served / "map.tif", FillMapSettings(served / "mask.tif", tmp_path / "local"))
    np.testing.assert_array_equal(pixels(done.map), pixels(local.map))
    np.testing.assert_array_equal(pixels(done.layer), pixels(local.layer))


def test_a_mask_that_is_refused_leaves_an_earlier_fill(
    mask: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = write_tif(tmp_path / "map.tif", stripes(), PIXEL_M), tmp_path / "out"
    words = ["fill", str(path), "--out", str(out), "--mask"]
    assert main([*words, str(mask)]) == 0
    before = contents(out)
    every = write_tif(tmp_path / "every.tif", hole() * 0 + 1, PIXEL_M)
    assert main([*words, str(every)]) == 2
    assert "nothing to hold on to" in capsys.readouterr().err
    assert contents(out) == before


def test_an_option_of_another_kind_of_mask_is_refused(
    mask: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_tif(tmp_path / "map.tif", stripes(), PIXEL_M)
    x, y = ORIGIN
    frame = gpd.GeoDataFrame(geometry=[shapely.box(x + 60, y - 90, x + 90, y - 60)], crs=UTM)
    frame.to_file(tmp_path / "mask.gpkg", driver="GPKG", engine="pyogrio")
    wrong = {
        tmp_path / "mask.gpkg": ["--mask_values", "[1]"],
        mask: ["--mask_layer", "clouds"],
    }
    for of, option in wrong.items():
        words = ["fill", str(path), "--mask", str(of), "--out", str(tmp_path / "out"), *option]
        assert main(words) == 2
        assert f"{option[0][2:]} is" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()


def own_legend(codes: dict[str, int], **together: list[str]) -> ResultLegend:
    """A legend of the working classes by other codes; ``together`` says what a class holds too."""
    colours = {c.name: list(c.colour) for c in WORKING.classes}
    classes = [
        ResultClass(code, f"own {name}", colours.get(name, [9, 9, 9]), together.get(name, [name]))
        for name, code in codes.items()
    ]
    return ResultLegend("own", classes)


def said(path: Path, codes: NDArray[Any], legend: ResultLegend, mask: Path) -> list[str]:
    """Words that fill a map which says its legend itself."""
    write_tif(path, codes, PIXEL_M)
    with rasterio.open(path, "r+") as target:
        target.update_tags(**legend_tags(legend))
    out = path.with_suffix("")
    return ["fill", str(path), "--mask", str(mask), "--out", str(out)]


def test_a_map_that_says_its_legend_is_filled_in_it(mask: Path, tmp_path: Path) -> None:
    """Other codes for the same classes: the same map but for its codes."""
    working, hidden = stripes(), hole() == 1
    plain = write_tif(tmp_path / "plain.tif", working, PIXEL_M)
    expected = pixels(fill_map(plain, FillMapSettings(mask, tmp_path / "plain")).map)
    backwards = dict(zip(WORKING.names, (5, 4, 3, 2, 1), strict=True))
    far = dict(zip(WORKING.names, (200, 6, 17, 3, 99), strict=True))
    for name, codes in {"backwards": backwards, "far": far}.items():
        table = np.array([0, *codes.values()], np.uint8)
        legend = own_legend(codes)
        assert main(said(tmp_path / f"{name}.tif", table[working], legend, mask)) == 0
        filled = tmp_path / name / f"{name}.tif"
        np.testing.assert_array_equal(pixels(filled), table[expected])
        with rasterio.open(filled) as source:
            assert legend_of(source) == legend
    roofs = working.copy()
    roofs[(working == WORKING.code("impervious")) & (np.indices(roofs.shape)[0] > 30)] = 6
    assert main(said(tmp_path / "roofs.tif", roofs, BUILDINGS_APART, mask)) == 0
    after = pixels(tmp_path / "roofs" / "roofs.tif")
    np.testing.assert_array_equal(after[~hidden], roofs[~hidden])
    np.testing.assert_array_equal(np.where(after == 6, 2, after), expected)


def test_a_legend_that_does_not_tell_working_classes_is_refused(
    mask: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    water, impervious, *green = WORKING.names
    mixed = own_legend({water: 1, impervious: 2, "green": 3}, green=green)
    words = said(tmp_path / "mixed.tif", np.minimum(stripes(), 3), mixed, mask)
    assert main(words) == 2
    assert "own green hold several working classes" in capsys.readouterr().err
    words = said(
        tmp_path / "more.tif",
        stripes() + 3,
        own_legend(dict(zip(WORKING.names, range(5, 0, -1), strict=True))),
        mask,
    )
    assert main(words) == 2
    with rasterio.open(tmp_path / "more.tif", "r+") as target:
        target.update_tags(**{TAG: "no legend"})
    assert main(words) == 2
    assert f"its metadata {TAG}" in capsys.readouterr().err
    assert not (tmp_path / "mixed").exists()
    assert not (tmp_path / "more").exists()


@pytest.mark.parametrize("option", ["share_weight", "share_radius_px", "draw_steps"])
def test_the_command_has_no_option_that_it_does_not_use(
    option: str, mask: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_tif(tmp_path / "map.tif", stripes(), PIXEL_M)
    assert main(["fill", str(path), "--mask", str(mask), f"--fill.{option}", "1"]) == 2
    assert option in capsys.readouterr().err


def test_settings_of_the_command_reach_the_prior() -> None:
    """Each of them, under the name that the engine has for it."""
    for name, value in dataclasses.asdict(FillOptions()).items():
        other = {name: type(value)(value / 2) or 2}
        changed = dataclasses.replace(FillOptions(), **other).complete
        assert changed == dataclasses.replace(FillOptions().complete, **other)
        assert changed != FillOptions().complete
