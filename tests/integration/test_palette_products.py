"""The palette of published products: all of them follow it, and the map stays."""

import hashlib
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import rasterio

from landcover_pnp.cli import main
from landcover_pnp.legend import WORKING
from landcover_pnp.legends.palettes import COLOUR_BLIND, coloured
from landcover_pnp.legends.result_legend import FIVE
from landcover_pnp.products.publishing import publish_run
from landcover_pnp.products.settings import PublishSettings

OTHER = coloured(FIVE, "colour_blind").legend
OWN_TOO = {(156, 156, 156)}
"""Colours of the standard legend that pages use as greys of their own."""


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def written(colour: tuple[int, int, int]) -> re.Pattern[str]:
    """A colour as any of the files may write it."""
    r, g, b = colour
    numbers = rf"\b{r}\s*,\s*{g}\s*,\s*{b}\b"
    cells = rf"<F>{r}</F>\s*<F>{g}</F>\s*<F>{b}</F>"
    return re.compile(rf"\b{r:02x}{g:02x}{b:02x}\b|{numbers}|{cells}", re.IGNORECASE)


def texts(folder: Path) -> dict[str, str]:
    """Everything that is text in a folder of products, without pictures."""
    found = {}
    for path in folder.iterdir():
        if path.suffix in (".qml", ".qlr", ".xml", ".json", ".html"):
            text = path.read_text(encoding="utf-8")
            found[path.name] = re.sub(r"data:[a-z/+-]+;base64,[A-Za-z0-9+/=]+", "", text)
    with ZipFile(folder / "landcover.qgz") as archive:
        found["landcover.qgz"] = archive.read("landcover.qgs").decode()
    with closing(sqlite3.connect(folder / "landcover.gpkg")) as base:
        styles = base.execute("SELECT styleQML FROM layer_styles").fetchall()
    found["landcover.gpkg"] = "\n".join(style for (style,) in styles)
    return found


def test_all_products_follow_the_palette_and_the_map_stays(run: Path) -> None:
    standard = publish_run(run).folder
    before, products = hashes(run), hashes(standard)
    pixels = {p.name: rasterio.open(p).read() for p in sorted(standard.glob("*.tif"))}
    summary = publish_run(run, PublishSettings(palette="colour_blind"))
    assert summary.notes == ("published again, changed since: publish.palette",)
    after = hashes(run)
    kept = {n for n in before if not n.startswith("products")} - {"published.json"}
    assert {n: after[n] for n in kept} == {n: before[n] for n in kept}
    for name, values in pixels.items():
        with rasterio.open(standard / name) as source:
            np.testing.assert_array_equal(source.read(), values, err_msg=name)
    for stem in ("landcover", "evidence", "weak_labels", "truth"):
        with rasterio.open(standard / f"{stem}.tif") as source:
            table = source.colormap(1)
        assert {c: table[c] for c in OTHER.codes} == {
            c.code: (*c.colour, 255) for c in OTHER.classes
        }, stem
    found = texts(standard)
    for name in ("landcover.qml", "landcover.qgz", "landcover.qlr", "landcover.gpkg", "item.json"):
        assert all(written(c.colour).search(found[name]) for c in OTHER.classes), name
    for name, text in found.items():
        for c in WORKING.classes:
            assert c.colour in OWN_TOO or not written(c.colour).search(text), (name, c)
    assert publish_run(run).notes == ("published again, changed since: publish.palette",)
    assert hashes(standard) == products


def test_the_ground_under_trees_has_the_palette_too() -> None:
    from landcover_pnp.products.under_trees import GROUND_LEGEND, ground_product

    other = ground_product("colour_blind").band.legend
    assert other is not None
    assert other.names == GROUND_LEGEND.names
    assert {c.colour for c in other.classes} <= set(COLOUR_BLIND.values())
    assert ground_product().band.legend == GROUND_LEGEND


def test_a_report_alone_has_the_palette(run: Path) -> None:
    assert main(["report", str(run), "--palette", "colour_blind"]) == 0
    page = (run / "report.html").read_text()
    page = re.sub(r"data:[a-z/+-]+;base64,[A-Za-z0-9+/=]+", "", page)
    for c, other in zip(WORKING.classes, OTHER.classes, strict=True):
        assert written(other.colour).search(page), c
        assert c.colour in OWN_TOO or not written(c.colour).search(page), c


def test_a_palette_that_there_is_not_is_refused(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = hashes(run)
    assert main(["publish", str(run), "--palette", "color_blind"]) == 2
    said = capsys.readouterr().err
    assert "colour_blind" in said
    assert hashes(run) == before
