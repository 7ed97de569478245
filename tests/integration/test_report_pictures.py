"""Pictures of a report: image over map to half a pixel, in the pixels of the image itself."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from inputs import ORIGIN, colours, write_scene
from pages import opened, viewer

from landcover_pnp.cli import main
from landcover_pnp.products import report_layers
from landcover_pnp.products.chips import MARK, Chip, place_side_m
from landcover_pnp.products.finished import FinishedRun
from landcover_pnp.products.publishing import publish_run
from landcover_pnp.products.report import write_report
from landcover_pnp.products.report_layers import doubtful_places
from landcover_pnp.products.viewer import FILE_BYTES, LAYERS_BYTES, TILES_BYTES

STEP = np.kron(np.arange(16).reshape(4, 4) * 14 + 20, np.ones((60, 60))).astype(np.uint8)
"""(y, x): a board of 4 x 4 grey squares of 60 pixels, which show where a picture lies."""


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of an image of 1 m, mapped at 4 m; not to be changed."""
    folder = tmp_path_factory.mktemp("board")
    image = np.clip(np.stack([STEP, STEP, 255 - STEP]) + colours() // 100, 1, 254)
    config = write_scene(folder / "city", image=image.astype(np.uint8))
    words = ["--run", str(folder / "run"), "--workers", "0", "--tiles.core_px", "30"]
    assert main(["map", str(config), *words, "--tiles.halo_px", "8"]) == 0
    return folder / "run"


def image_of(run: Path) -> Path:
    return Path(json.loads((run / "settings.json").read_text())["scene"]["rasters"]["image"])


def page(run: Path, path: Path) -> str:
    return write_report(FinishedRun.open(run), run, path / "r.html", "A").read_text()


def test_image_and_map_lie_over_each_other_in_pixels_of_the_image(
    mapped: Path, tmp_path: Path
) -> None:
    text = page(mapped, tmp_path)
    assert "Image and map are shown in pixels of 1 m; the map has pixels of 4 m." in text
    data = viewer(text)
    assert data["pixel"] == [1, 1]
    assert data["size"] == [240, 240]
    assert [data["left"], data["top"]] == list(ORIGIN)
    with rasterio.open(image_of(mapped)) as source:
        expected = np.moveaxis(source.read(), 0, -1).astype(float)
    shown = opened(data["base"]["levels"][0][0][0])
    assert (shown[:240, :240, 3] == 255).all()
    assert not shown[240:, :, 3].any() and not shown[:, 240:, 3].any()
    off = [
        np.abs(np.roll(shown[:240, :240, :3].astype(float), shift, axis) - expected).mean()
        for axis in (0, 1)
        for shift in (0, 1, -1)
    ]
    assert off[0] < 3
    assert np.argmin(off[:3]) == np.argmin(off[3:]) == 0, "a pixel to any side is worse"
    with rasterio.open(mapped / "landcover.tif") as source:
        codes, table = source.read(1), source.colormap(1)
    drawn = np.array([table[code] for code in range(256)], np.uint8)[codes]
    seen = opened(data["layers"][0]["levels"][0][0][0])[:240, :240]
    mapped_ground = codes.repeat(4, 0).repeat(4, 1) > 0
    np.testing.assert_array_equal(seen[..., 3] > 0, mapped_ground)
    np.testing.assert_array_equal(
        seen[mapped_ground], drawn.repeat(4, 0).repeat(4, 1)[mapped_ground]
    )


def test_chips_show_each_place_in_its_frame(mapped: Path, tmp_path: Path) -> None:
    text, finished = page(mapped, tmp_path), FinishedRun.open(mapped)
    places = doubtful_places(finished)
    assert places
    chips = text.split('<ol class="chips">')[1].split("</ol>")[0]
    addresses = [part.split('"')[0] for part in chips.split('src="')[1:]]
    assert len(addresses) == 2 * len(places)
    with (
        rasterio.open(image_of(mapped)) as source,
        rasterio.open(mapped / "landcover.tif") as codes,
    ):
        for place, address, mapped_as in zip(places, addresses[::2], addresses[1::2], strict=True):
            assert f"image around place {place['rank']}, which is framed" in chips
            chip = Chip.around(place["x"], place["y"], finished.scene, 200)
            left, top, right, bottom = chip.frame
            x, y = chip.geobox.transform * ((left + right) / 2, (top + bottom) / 2)
            assert (x, y) == pytest.approx((place["x"], place["y"]))
            assert right - left == pytest.approx(place_side_m(finished.scene) * 2)
            picture, drawn = opened(address), opened(mapped_as)
            assert picture.shape == drawn.shape == (200, 200, 4)
            for column, row in ((30, 170), (100, 100), (170, 20)):
                at = chip.geobox.transform * (column + 0.5, row + 0.5)
                value, code = next(source.sample([at])), next(codes.sample([at]))[0]
                sides = [abs(column - left), abs(column - right), abs(row - top), abs(row - bottom)]
                if min(sides) > 8:  # not under the frame
                    assert np.abs(picture[row, column, :3].astype(int) - value).max() < 30
                    assert tuple(drawn[row, column]) == codes.colormap(1)[code]
            inside = drawn[max(round(top), 0) : round(bottom), max(round(left), 0) : round(right)]
            assert (inside[..., :3] == MARK).all(axis=-1).any()


@pytest.mark.parametrize("fate", ["gone", "changed"])
def test_another_image_is_not_shown_in_its_place(fate: str, tmp_path: Path) -> None:
    config = write_scene(tmp_path / "city")
    words = ["--run", str(tmp_path / "run"), "--workers", "0"]
    assert main(["map", str(config), *words]) == 0
    image = image_of(tmp_path / "run")
    before = publish_run(tmp_path / "run")
    assert publish_run(tmp_path / "run").notes == ()
    if fate == "gone":
        image.unlink()
    else:
        with rasterio.open(image, "r+") as target:
            target.write(255 - target.read())
    text = page(tmp_path / "run", tmp_path)
    told = text.split('<p class="quiet">Image and map are shown')[1].split("</p>")[0]
    assert "in pixels of 4 m" in told
    assert "The image is that of the scene" in told
    assert image.name in told
    assert "Errno" not in told
    shown = opened(viewer(text)["base"]["levels"][0][0][0])[:60, :60, 0]
    assert abs(shown[:, :28].mean() - 60) < 6, "the dark half is dark"
    after = publish_run(tmp_path / "run")
    assert after.notes == ("published again, changed since: image",)
    assert before.files == after.files
    with rasterio.open(after.folder / "image.tif") as source:
        assert source.res == (4, 4)


def test_the_published_image_has_the_image_s_pixels(mapped: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(mapped, tmp_path / "run"))
    with (
        rasterio.open(publish_run(run).folder / "image.tif") as source,
        rasterio.open(image_of(mapped)) as original,
    ):
        assert source.res == (1, 1)
        assert source.bounds == original.bounds
        assert source.nodata == 0
        np.testing.assert_array_equal(source.read(), original.read())


def test_a_report_has_no_more_bytes_than_it_may(
    mapped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tiles(data: dict) -> int:
        levels = [layer["levels"] for layer in (data["base"], data["layers"][0])]
        return sum(len(tile) for level in levels for size in level for row in size for tile in row)

    def others(data: dict) -> int:
        return sum(len(layer["picture"]) for layer in data["layers"])

    whole = viewer(page(mapped, tmp_path))
    monkeypatch.setattr(report_layers, "TILES_BYTES", tiles(whole) // 2)
    monkeypatch.setattr(report_layers, "LAYERS_BYTES", others(whole) // 2)
    monkeypatch.setattr(report_layers, "LAYER_PX", 60)
    text = page(mapped, tmp_path)
    small = viewer(text)
    assert tiles(small) <= tiles(whole) // 2
    assert others(small) <= others(whole) // 2
    assert small["pixel"][0] > 1
    assert f"shown in pixels of {small['pixel'][0]:.4g} m" in text
    assert small["ground"] == whole["ground"]
    assert TILES_BYTES + LAYERS_BYTES < 0.95 * FILE_BYTES  # the rest is text, chips and Leaflet
