"""Products in QGIS itself and in a browser itself; skipped where there is none."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from counting_server import counting_server
from finished_runs import without_a_tile
from PIL import Image

from landcover_pnp.legend import WORKING
from landcover_pnp.products import qgis
from landcover_pnp.products.page import hex_colour
from landcover_pnp.products.publishing import publish_run
from landcover_pnp.products.qgis_layout import BASE_MAP, LAYOUT
from landcover_pnp.products.rasters import PRODUCTS
from landcover_pnp.products.settings import PublishSettings

CHECK = Path(__file__).parents[1] / "qgis_check.py"
LEGEND = [[c.name, hex_colour(c.colour)] for c in WORKING.classes]
BOUNDS = [586_000, 4_475_760, 586_240, 4_476_000]
RASTERS = ("paletted", "singlebandpseudocolor", "singlebandgray", "multibandcolor")
AWKWARD = 'Stadt "Köln" & <Umland>'


@pytest.fixture(scope="module")
def chromium() -> str:
    """A browser."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    pytest.skip("no Chromium")


@pytest.mark.slow
def test_everything_opens_in_qgis_even_after_a_move(
    run: Path, tmp_path: Path, qgis_python: str
) -> None:
    without_a_tile(run)
    folder = publish_run(run, PublishSettings(title=AWKWARD)).folder
    moved = tmp_path / "moved here & <there>"
    shutil.move(folder, moved)
    command = [qgis_python, str(CHECK), str(moved), str(tmp_path / "map.png")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["opened"]
    assert answer["title"] == AWKWARD
    assert answer["crs"] == "EPSG:26917"
    assert answer["view"] == BOUNDS
    assert answer["groups"] == ["Warnings", "Map", "Uncertainty", "Baselines", "Truth", "Imagery"]
    assert answer["shown"] == ["tiles without result", "land cover", "image"]
    first, *doubtful = answer["bookmarks"]
    assert first == "no result: r0000c0001"
    assert doubtful
    assert all(name.startswith(f"doubtful {n}: ") for n, name in enumerate(doubtful, 1))
    assert answer["qlr"]["opened"], answer["qlr"]["message"]
    base_map = answer["layers"].pop(BASE_MAP)  # fetched by QGIS, once it is switched on
    assert base_map["crs"] == "EPSG:3857"
    assert answer["order"][-1] == BASE_MAP
    assert answer["qlr"]["layers"] == answer["layers"]
    for name, layer in {**answer["layers"], **answer["files"]}.items():
        assert layer["valid"], name
        assert layer["crs"] == "EPSG:26917", name
        if name != "tiles without result" and not name.startswith("land cover polygons"):
            np.testing.assert_allclose(layer["extent"], BOUNDS, atol=0.01, err_msg=name)
    for stem, product in PRODUCTS.items():
        assert answer["files"][f"{stem}.tif"]["legend"] == answer["layers"][product.title]["legend"]
    for name in ("land cover", "land cover polygons", "evidence alone", "truth"):
        assert answer["layers"][name]["legend"] == LEGEND, name
    assert answer["files"]["landcover.gpkg"]["legend"] == LEGEND
    # The map as drawn: legend colours only, but for the red hatching of the failed tile.
    pixels = np.asarray(Image.open(tmp_path / "map.png").convert("RGB"))
    rest = np.vstack([pixels[460:].reshape(-1, 3), pixels[:440, :440].reshape(-1, 3)])
    assert {tuple(c) for c in np.unique(rest, axis=0).tolist()} <= {
        c.colour for c in WORKING.classes
    }
    assert (pixels[:440, 460:] == (215, 25, 28)).all(axis=-1).any()
    page = answer["page"]
    assert page["name"] == LAYOUT
    assert page["items"] == ["legend", "map", "north", "page", "rights", "scale", "title"]
    assert page["exported"] == [0, 0], "of QgsLayoutExporter: success"
    assert (tmp_path / "map.pdf").read_bytes().startswith(b"%PDF")
    assert page["themes"]["truth"] == ["tiles without result", "truth", "image"]
    rasters = {n for n, layer in answer["layers"].items() if layer["renderer"] in RASTERS}
    assert set(page["themes"]) == rasters
    # The page shows the legend's colours, and in its legend one after the other.
    drawn = np.asarray(Image.open(tmp_path / "map_page.png").convert("RGB"))
    named = drawn[:, 900:].reshape(-1, 3)
    assert {c.colour for c in WORKING.classes} <= {
        tuple(c) for c in np.unique(named, axis=0).tolist()
    }


@pytest.mark.slow
def test_the_base_map_is_off_and_never_asked_for(
    run: Path, tmp_path: Path, qgis_python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with counting_server() as server:
        tiles = f"type=xyz&zmin=0&zmax=19&url={server.address}/%7Bz%7D/%7Bx%7D/%7By%7D.png"
        monkeypatch.setattr(qgis, "BASE_MAP_SOURCE", tiles)
        folder = publish_run(run).folder
        command = [qgis_python, str(CHECK), str(folder), str(tmp_path / "map.png")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        assert answer["layers"][BASE_MAP]["valid"], "it would be fetched, were it switched on"
        assert BASE_MAP not in answer["shown"]
        assert not any(BASE_MAP in names for names in answer["page"]["themes"].values())
        assert not server.asked, "opened, drawn, printed, in no theme"


DRIVE = Path(__file__).parents[1] / "drive_report.js"
"""Uses a report as its reader would, and notes what is then seen."""


@pytest.mark.slow
def test_the_report_works_in_a_browser(run: Path, tmp_path: Path, chromium: str) -> None:
    report = publish_run(run).folder / "report.html"
    driven, drive = tmp_path / "driven.html", DRIVE.read_text()
    for name, value in zip(("LEFT", "BOTTOM", "RIGHT", "TOP"), BOUNDS, strict=True):
        drive = drive.replace(name, str(value))
    driven.write_text(report.read_text().replace("</body>", f"<script>\n{drive}</script></body>"))
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    options += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=2000"]
    command = [chromium, *options, "--dump-dom", driven.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "CONSOLE" not in done.stderr, done.stderr
    text = done.stdout.split('data-seen="')[1].split('"')[0].replace("&quot;", '"')
    seen = json.loads(text)
    assert seen["layers"][:2] == ["land cover", "confidence"]
    assert seen["layers"][-1] == "image alone"
    assert seen["legends"] == ["land cover:", "confidence:"]
    assert not seen["still"]
    # One tile of 512 pixels each: 240 pixels of the image are the ground of the map.
    left, top, right, _ = seen["ground"]
    pixel = (right - left) / 240
    expected = [left, top, left + 512 * pixel, top + 512 * pixel]
    for (tile,) in seen["tiles"]:
        np.testing.assert_allclose(tile, expected, atol=0.5 * pixel)
    assert seen["half"] != seen["all"]
    assert seen["opacity"] == "0.4"
    assert seen["changed"] == [["confidence", "data:image/webp;"]]
    np.testing.assert_allclose(seen["overlaid"], [seen["ground"]], atol=0.5 * pixel)
    assert seen["none"] == 0
    place = json.loads((run / "summary.json").read_text())["doubt"]["places"][1]
    np.testing.assert_allclose(seen["centre"], [place["x"], place["y"]], atol=1)
    assert seen["zoomed"] > 0
    assert seen["focus"]
    assert seen["key"] == 1
    assert seen["wide"]
