"""Pages: what goes in as text comes out as text, and nothing is fetched from anywhere."""

import base64
import dataclasses
import hashlib
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError
from odc.geo.geobox import GeoBox
from PIL import Image

from landcover_pnp.legend import LandClass
from landcover_pnp.products import page
from landcover_pnp.products.page import OWN, data_uri, environment, leaflet, render
from landcover_pnp.products.picture_grid import PictureGrid
from landcover_pnp.products.viewer import Viewer, tiled_layer, whole_layer

PACKAGES = [OWN, "landcover_pnp.pipeline.transfer"]

VOID = {"meta", "img", "br", "input", "link"}
"""Tags without an end."""

LEAFLET = "db49d009c841f5ca34a888c96511ae936fd9f5533e90d8b2c4d57596f4e5641a"
"""SHA-256 of the file as the registry has it."""

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)


class Reader(HTMLParser):
    """Collects the texts of table cells and by tag, all tags and all addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.tags: list[str] = []
        self.texts: dict[str, str] = {}
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.styles = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["style"]:
            self.styles += data
        if self.tags:
            self.texts[self.tags[-1]] = self.texts.get(self.tags[-1], "") + data
        if self.tags and self.tags[-1] in ("td", "th") and self.cells:
            self.cells[-1] += data

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.open.pop()


def parsed(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


def macro(call: str, **content: object) -> str:
    """What a macro of the pages makes."""
    source = '{% from "macros.html" import cell, picture, swatch, table %}' + call
    return environment(OWN).from_string(source).render(content)


@given(st.lists(st.tuples(TEXT, TEXT), max_size=4), st.tuples(TEXT, TEXT))
def test_a_table_holds_its_texts_and_no_tag_of_theirs(
    rows: list[tuple[str, str]], head: tuple[str, str]
) -> None:
    reader = parsed(macro("{{ table(head, rows) }}", head=head, rows=rows))
    assert [c.rstrip("\n") for c in reader.cells] == [
        c.rstrip("\n") for row in [head, *rows] for c in row
    ]
    assert set(reader.tags) <= {"div", "table", "thead", "tbody", "tr", "td", "th"}


@given(TEXT)
def test_a_class_stands_in_a_table_with_its_colour(name: str) -> None:
    row = [LandClass(1, name, (1, 2, 255)), "<b>"]
    text = macro("{{ table(['', ''], [row]) }}", row=row)
    assert 'style="background: #0102ff"' in text
    assert parsed(text).tags.count("span") == 1
    assert "<b>" not in text


@pytest.mark.parametrize(
    ("cells", "right"), [(["1", "2.5 %", "-"], True), (["1,200", "x"], False), ([], False)]
)
def test_only_columns_of_numbers_stand_right(cells: list[str], right: bool) -> None:
    text = macro("{{ table(['n'], rows) }}", rows=[[c] for c in cells])
    assert ("class=number" in text) is right


def test_a_picture_carries_its_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 5, 4), dtype=np.uint8)
    kind, _, text = data_uri(pixels).partition(",")
    assert kind == "data:image/png;base64"
    read = Image.open(io.BytesIO(base64.b64decode(text)))
    np.testing.assert_array_equal(np.asarray(read), pixels)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_template_escapes_and_fetches_nothing(package: str) -> None:
    known = environment(package)
    assert known.autoescape is True
    names = known.list_templates()
    assert {"page.html", "macros.html", "style.css"} < set(names)
    for name in names:
        source, _, _ = known.loader.get_source(known, name)
        assert not re.search(r"\|\s*safe\b|autoescape|://|@import", source), name


HOSTILE = """<evil a='"'>&amp;</script><script>alert(1)</script>"""
ROWS = [(LandClass(1, HOSTILE, (0, 0, 0)), HOSTILE)]
PIXELS = np.zeros((2, 2, 4), np.uint8)
VIEWER = Viewer(
    PictureGrid(GeoBox((2, 2), Affine(1, 0, 5, 0, -1, 9), "EPSG:26917")),
    tiled_layer(HOSTILE, PIXELS + np.uint8(255), exact=False),
    (whole_layer(HOSTILE, PIXELS, (((1, 2, 3), HOSTILE),), exact=True),),
    ({"x": 6.0, "y": 8.0, "side": 1.0, "label": HOSTILE},),
    HOSTILE,
)
PAGES: dict[str, dict[str, object]] = {
    "comparison.html": {
        **dict.fromkeys(("a", "b", "changed", "together"), HOSTILE),
        "notes": [HOSTILE],
        "head": [HOSTILE, HOSTILE],
        "rows": ROWS,
        "viewer": VIEWER,
        "changes": ROWS,
    },
    "report.html": {
        **{key: [HOSTILE] for key in ("facts", "warnings", "notes", "attribution")},
        "viewer": VIEWER,
        "shown": HOSTILE,
        "tiles_said": HOSTILE,
        "doubt": {
            **dict.fromkeys(("share", "hectares"), HOSTILE),
            **dict.fromkeys(("by_class", "by_reason"), ROWS),
            "places": [
                {
                    **dict.fromkeys(("rank", "mapped_class", "reason", "x", "y", "doubt"), HOSTILE),
                    "chip": dict.fromkeys(("image", "map"), data_uri(PIXELS)),
                }
            ],
        },
        "areas": [(*ROWS[0], "1", "2")],
        "sampled": {"title": HOSTILE, "samples": HOSTILE},
        "sampled_column": False,
        "sampled_areas": ROWS,
        "ground": [(*ROWS[0], "1")],
        "scores": [(*ROWS[0], "1")],
        "tiles": [(*ROWS[0], "1", "2", HOSTILE)],
        **dict.fromkeys(("stages", "settings"), ROWS),
    },
    "transfer.html": {
        "package": "landcover_pnp.pipeline.transfer",
        "conditions": [HOSTILE],
        "warnings": [HOSTILE],
        "classes": [ROWS[0][0]],
        "wrong": (1, 2, 3),
        "no_map": HOSTILE,
        "head": [HOSTILE, HOSTILE],
        "cities": [
            {
                "title": HOSTILE,
                "viewer": VIEWER,
                "inputs": [(HOSTILE, PIXELS)],
                "maps": {HOSTILE: [(HOSTILE, PIXELS)]},
                "bars": PIXELS,
                "details": PIXELS,
                "scores": ROWS,
                "ablation_head": [HOSTILE, HOSTILE],
                "ablation": ROWS,
            },
            {"title": HOSTILE, "maps": {}},
        ],
    },
}


@pytest.mark.parametrize("template", PAGES)
def test_texts_of_a_page_are_texts_and_it_needs_nothing_but_itself(template: str) -> None:
    text = render(template, title=HOSTILE, **PAGES[template])  # type: ignore[arg-type]
    reader = parsed(text)
    assert "evil" not in reader.tags
    assert reader.texts["title"].strip() == HOSTILE
    assert reader.texts["h2"].startswith(HOSTILE) == (template == "transfer.html")
    assert HOSTILE in reader.cells
    scripts = reader.tags.count("script")
    assert scripts == text.count("</script>") == 3
    assert reader.addresses
    assert all(address.startswith(("data:", "#map")) for address in reader.addresses)
    assert reader.open == []
    assert "default-src 'none'" in text
    assert not re.search(r"url\(|@import|sourceMappingURL", reader.styles)
    assert "http" not in text.replace("http-equiv", "").replace(leaflet("leaflet.js"), "").replace(
        leaflet("leaflet.css"), ""
    )


def test_the_viewer_s_data_come_out_as_they_went_in() -> None:
    text = render("report.html", title="", **PAGES["report.html"])  # type: ignore[arg-type]
    data = json.loads(text.split('<script type="application/json">')[1].split("</script>")[0])
    assert data == json.loads(json.dumps(VIEWER.data))
    assert data["layers"][0]["name"] == data["places"][0]["label"] == HOSTILE
    assert data["ground"] == [5, 7, 7, 9]


def test_a_viewer_without_an_image_has_nothing_to_swipe_over() -> None:
    content = {**PAGES["report.html"], "viewer": dataclasses.replace(VIEWER, base=None)}
    text = render("report.html", title="", **content)  # type: ignore[arg-type]
    assert 'class="swipe"' not in text
    assert 'class="layer"' in text


def test_the_viewer_s_library_is_whole_and_has_its_licence() -> None:
    folder = Path(page.__file__).parent / "leaflet"
    assert "BSD 2-Clause License" in (folder / "LICENSE").read_text()
    code = (folder / "leaflet.js").read_bytes()
    assert b"Leaflet 1.9.4" in code[:100]
    assert hashlib.sha256(code).hexdigest() == LEAFLET
    assert len(leaflet("leaflet.js")) > 0.99 * len(code)
    assert "</script" not in leaflet("leaflet.js")
    licence = (folder / "LICENSE").read_text().splitlines()
    text = render("report.html", title="", **PAGES["report.html"])  # type: ignore[arg-type]
    assert all(line in text for line in licence), "copies carry its terms"


def test_a_page_that_lacks_something_is_not_written() -> None:
    with pytest.raises(UndefinedError, match="'a' is undefined"):
        render("comparison.html", title="")


def test_all_pages_are_tried() -> None:
    shared = {"page.html", "macros.html", "style.css"} | {
        f"viewer.{kind}" for kind in ("html", "js", "css")
    }
    names = {name for package in PACKAGES for name in environment(package).list_templates()}
    assert names - shared == PAGES.keys()
