"""The command ``fill``: known pixels stay bit for bit, hidden ones come from the prior."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import torch
from inputs import ORIGIN, UTM, write_tif
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from landcover_pnp.cli import main
from landcover_pnp.legend import ENVIROATLAS, WORKING
from landcover_pnp.pipeline.fill import FilledMap, fill_map
from landcover_pnp.pipeline.settings import FillMapSettings
from landcover_pnp.products.ground import GROUND
from landcover_pnp.scenes.class_map import ClassMap
from landcover_pnp.storage.class_attributes import class_attributes

torch.set_num_threads(1)

SIDE_M = 240


@dataclass(frozen=True)
class Nearby:
    """A masked prior that goes by the known pixels within four."""

    kind: ClassVar[str] = "masked"
    fingerprint: ClassVar[str] = "nearby"
    resolution_m: ClassVar[float] = 4.0
    device: ClassVar[torch.device] = torch.device("cpu")

    def predict_classes(self, codes: Tensor) -> Tensor:
        known = functional.one_hot(codes, 6)[..., 1:].movedim(-1, 1).float()
        p = functional.avg_pool2d(known, 9, 1, 4, count_include_pad=True) + 1e-4
        return p / p.sum(1, keepdim=True)


@pytest.fixture(autouse=True)
def nearby(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("pipeline.fill_plan", "prior.loading"):
        monkeypatch.setattr(f"landcover_pnp.{module}.load_prior", lambda *_: Nearby())


def a_map(pixel_m: float, seed: int = 0) -> NDArray[np.uint8]:
    """(y, x) uint8 working classes in blobs of some ten metres, no data in a corner."""
    from scipy.ndimage import gaussian_filter

    n = round(SIDE_M / pixel_m)
    noise = np.random.default_rng(seed).normal(size=(5, n, n))
    blobs = [gaussian_filter(layer, 12 / pixel_m) for layer in noise]
    codes = (np.argmax(blobs, axis=0) + 1).astype(np.uint8)
    codes[: n // 8, : n // 8] = 0
    return codes


def cloud(pixel_m: float) -> NDArray[np.uint8]:
    n = round(SIDE_M / pixel_m)
    y, x = (np.indices((n, n)) + 0.5) * pixel_m
    return (np.hypot(y - 110, x - 130) < 55).astype(np.uint8)


def filled(
    folder: Path, codes: NDArray[Any], mask: NDArray[Any], pixel_m: float, **options: Any
) -> FilledMap:
    profile = options.pop("profile", {})
    path = write_tif(folder / "map.tif", codes, pixel_m, **profile)
    write_tif(folder / "mask.tif", mask, pixel_m)
    settings = FillMapSettings(folder / "mask.tif", folder / "out", **options)
    return fill_map(path, settings)


def pixels(path: Path) -> NDArray[Any]:
    with rasterio.open(path) as source:
        found: NDArray[Any] = source.read(1)
    return found


@pytest.mark.parametrize("pixel_m", [0.5, 1.37, 3.0, 4.0, 10.0])
def test_only_hidden_pixels_change_at_any_pixel_size(pixel_m: float, tmp_path: Path) -> None:
    codes, mask = a_map(pixel_m), cloud(pixel_m)
    done = filled(tmp_path, np.where(mask == 1, 3, codes), mask, pixel_m, window_px=32, halo_px=16)
    after, layer = pixels(done.map), pixels(done.layer)
    hidden = (mask == 1) & (codes > 0)
    np.testing.assert_array_equal(after[~hidden], codes[~hidden])
    np.testing.assert_array_equal(layer, np.where(codes == 0, 0, np.where(hidden, 2, 1)))
    assert done.filled_px == hidden.sum()
    assert sum(done.classes_ha.values()) == pytest.approx(hidden.sum() * pixel_m**2 / 1e4, abs=0.01)
    assert (after[hidden] > 0).all()
    rim = hidden & (np.hypot(*(np.indices(codes.shape) * pixel_m - [[[110]], [[130]]])) > 47)
    assert (after == codes)[rim].mean() > 0.5  # the rest of the blob


def test_the_map_does_not_depend_on_the_windows(tmp_path: Path) -> None:
    found = []
    for window_px in (24, 32, 40, 200):
        folder = tmp_path / str(window_px)
        folder.mkdir()
        done = filled(folder, a_map(4.0), cloud(4.0), 4.0, window_px=window_px, halo_px=12)
        found.append(pixels(done.map))
    for other in found[1:]:
        assert (other == found[0]).mean() > 0.995


def test_colours_names_and_overviews_stay(tmp_path: Path) -> None:
    """A map of EnviroAtlas codes with colours and names of its own."""
    table = np.array([0, 10, 20, 30, 52, 70], np.uint8)
    codes, mask = table[a_map(0.4)], cloud(0.4)
    path = write_tif(tmp_path / "map.tif", codes, 0.4, nodata=0)
    own = {code: (code, 2 * code, 5, 255) for code in ENVIROATLAS.codes}
    with rasterio.open(path, "r+") as target:
        target.write_colormap(1, own)
        target.set_band_description(1, "what grows")
    xml = class_attributes(ENVIROATLAS, {}, 1.0).replace("trees and forest", "Wald")
    path.with_name("map.tif.aux.xml").write_text(xml.replace("shrubs", "Busch"))
    write_tif(tmp_path / "mask.tif", mask, 0.4)
    done = fill_map(path, FillMapSettings(tmp_path / "mask.tif", tmp_path / "out"))
    with rasterio.open(done.map) as source:
        assert source.nodata == 0
        assert source.overviews(1)
        assert source.descriptions == ("what grows",)
        assert {code: source.colormap(1)[code] for code in own} == own
        after = source.read(1)
    assert set(np.unique(after[mask == 1])) <= {0, 10, 20, 30, 52, 70}  # shrubs, never trees
    names = ClassMap.open(done.map, "enviroatlas").legend.names
    assert "Busch" in names
    assert "Wald" in names
    assert done.map.with_suffix(".qml").is_file()
    np.testing.assert_array_equal(after[mask == 0], codes[mask == 0])


def test_a_legend_is_told_from_colours_whatever_the_codes(tmp_path: Path) -> None:
    shuffled = {7: "trees and forest", 2: "water", 5: "impervious"}
    codes = np.array([0, 2, 5, 7, 7, 7], np.uint8)[a_map(4.0)]
    path = write_tif(tmp_path / "map.tif", codes, 4.0)
    colours = {c.name: (*c.colour, 255) for c in WORKING.classes}
    with rasterio.open(path, "r+") as target:
        target.write_colormap(1, {code: colours[name] for code, name in shuffled.items()})
    told = ClassMap.open(path, None)
    assert told.classes == {7: 4, 2: 1, 5: 2}
    np.testing.assert_array_equal(told.to_working(np.array([0, 2, 5, 7, 9])), [0, 1, 2, 4, 0])
    np.testing.assert_array_equal(told.back, [0, 2, 5, 0, 7, 0])
    write_tif(tmp_path / "mask.tif", cloud(4.0), 4.0)
    done = fill_map(path, FillMapSettings(tmp_path / "mask.tif", tmp_path / "out"))
    assert set(np.unique(pixels(done.map))) == {0, 2, 5, 7}


def test_coarse_legends_are_taken_by_name(tmp_path: Path) -> None:
    codes = np.array([0, 11, 24, 31, 41, 71], np.uint8)[a_map(30.0)]
    path = write_tif(tmp_path / "nlcd.tif", codes, 30.0)
    told = ClassMap.open(path, "nlcd")
    assert told.classes[41] == WORKING.code("trees and forest")
    write_tif(tmp_path / "mask.tif", cloud(30.0), 30.0)
    settings = FillMapSettings(tmp_path / "mask.tif", tmp_path / "out", legend="nlcd")
    after = pixels(fill_map(path, settings).map)
    np.testing.assert_array_equal(after[cloud(30.0) == 0], codes[cloud(30.0) == 0])


def test_a_mask_of_polygons_or_of_another_grid_hides_the_same_ground(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_tif(tmp_path / "map.tif", a_map(2.0), 2.0)
    x, y = ORIGIN
    square = shapely.box(x + 60, y - 160, x + 140, y - 80)
    frame = gpd.GeoDataFrame(geometry=[square], crs=UTM).to_crs(4326)
    frame.to_file(tmp_path / "mask.gpkg", driver="GPKG", engine="pyogrio")
    mask = np.zeros((48, 48), np.uint8)
    mask[16:32, 12:28] = 9
    write_tif(tmp_path / "mask.tif", mask, 5.0)
    layers = []
    for name in ("mask.gpkg", "mask.tif"):
        out = tmp_path / f"out of {name}"
        words = ["fill", str(path), "--mask", str(tmp_path / name), "--out", str(out)]
        assert main(words) == 0
        layers.append(pixels(out / "filled.tif") == 2)
    assert layers[0].sum() == 40 * 40
    np.testing.assert_array_equal(*layers)
    assert "mask brought onto the grid of the map" in capsys.readouterr().out
    with rasterio.open(out / "filled.tif") as source:  # as in map runs: one legend for all
        table = source.colormap(1)
    assert {c.code: table[c.code][:3] for c in GROUND.classes} == {
        c.code: c.colour for c in GROUND.classes
    }


def test_called_again_nothing_is_done_again(tmp_path: Path) -> None:
    first = filled(tmp_path, a_map(4.0), cloud(4.0), 4.0, window_px=32, halo_px=16)
    stamps = {p: p.stat().st_mtime_ns for p in sorted((tmp_path / "out").rglob("*"))}
    path, settings = (
        tmp_path / "map.tif",
        FillMapSettings(tmp_path / "mask.tif", tmp_path / "out", window_px=32, halo_px=16),
    )
    assert fill_map(path, settings) == first
    assert {p: p.stat().st_mtime_ns for p in sorted((tmp_path / "out").rglob("*"))} == stamps
    again = fill_map(
        path, FillMapSettings(tmp_path / "mask.tif", tmp_path / "out", window_px=16, halo_px=8)
    )
    assert again.windows > first.windows


def test_a_mask_that_hides_nothing_leaves_the_map(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_tif(tmp_path / "map.tif", a_map(4.0), 4.0)
    mask = write_tif(tmp_path / "mask.tif", cloud(4.0) * 0, 4.0)
    assert main(["fill", str(path), "--mask", str(mask), "--out", str(tmp_path / "out")]) == 0
    assert "hides no pixel of the map" in capsys.readouterr().out
    np.testing.assert_array_equal(pixels(tmp_path / "out" / "map.tif"), a_map(4.0))


def test_no_data_is_filled_where_it_is_asked_for(tmp_path: Path) -> None:
    mask, codes = cloud(4.0), a_map(4.0)
    holes = np.where(mask == 1, 0, codes).astype(np.uint8)
    path = write_tif(tmp_path / "map.tif", holes, 4.0, nodata=0)
    write_tif(tmp_path / "mask.tif", mask, 4.0)
    out = {}
    for wanted in (True, False):
        settings = FillMapSettings(
            tmp_path / "mask.tif", tmp_path / f"{wanted}", fill_no_data=wanted
        )
        out[wanted] = pixels(fill_map(path, settings).map)
    np.testing.assert_array_equal(out[False], holes)
    assert (out[True][mask == 1] > 0).all()


def wrong(folder: Path, what: str) -> list[str]:
    """Words of a request that cannot be carried out."""
    codes, mask, origin, crs = a_map(4.0), cloud(4.0), ORIGIN, UTM
    words: list[str] = []
    if what == "mask elsewhere":
        origin = (ORIGIN[0] + 1e5, ORIGIN[1])
    elif what == "all hidden":
        mask[:] = 1
    elif what == "no legend":
        codes[codes == 3] = 77
    elif what == "no class":
        codes[:] = 0
    elif what == "unknown legend":
        words = ["--legend", "nlcdd"]
    elif what == "no steps":
        words = ["--fill.steps", "0"]
    elif what == "wide halo":
        words = ["--window_px", "32", "--halo_px", "20"]
    elif what == "no crs":
        crs = None  # type: ignore[assignment]
    path = write_tif(folder / "map.tif", codes, 4.0, crs=crs)
    write_tif(folder / "mask.tif", mask, 4.0, origin=origin)
    if what == "no mask":
        (folder / "mask.tif").unlink()
    if what == "floats":
        write_tif(path, codes.astype(np.float32), 4.0)
    return ["fill", str(path), "--mask", str(folder / "mask.tif"), *words]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("mask elsewhere", "they do not overlap"),
        ("all hidden", "nothing to hold on to"),
        ("no legend", "77 ("),
        ("no class", "no pixel with a class"),
        ("unknown legend", "nlcdd"),
        ("no steps", "steps is 0"),
        ("wide halo", "halo_px is 20"),
        ("no crs", "coordinate reference system"),
        ("no mask", "no file"),
        ("floats", "float32"),
    ],
)
def test_what_cannot_be_filled_is_refused_and_nothing_is_written(
    what: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = wrong(tmp_path, what)
    before = sorted(tmp_path.iterdir())
    assert main([*words, "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told
    assert sorted(tmp_path.iterdir()) == before


def test_the_answer_is_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_tif(tmp_path / "map.tif", a_map(4.0), 4.0)
    mask = write_tif(tmp_path / "mask.tif", cloud(4.0), 4.0)
    assert (
        main(["fill", str(path), "--mask", str(mask), "--out", str(tmp_path / "o"), "--json"]) == 0
    )
    answer = json.loads(capsys.readouterr().out)
    assert answer["filled_px"] == ((cloud(4.0) == 1) & (a_map(4.0) > 0)).sum()
    assert set(answer["classes_ha"]) <= set(WORKING.names)
