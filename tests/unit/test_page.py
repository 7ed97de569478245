"""Pages: what goes in as text comes out as text, and nothing is fetched from anywhere."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError
from PIL import Image

from landcover_pnp.legend import LandClass
from landcover_pnp.products.page import OWN, data_uri, environment, render

PACKAGES = [OWN, "landcover_pnp.pipeline.transfer"]

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)


class Reader(HTMLParser):
    """Collects the texts of table cells and by tag, all tags and all addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.tags: list[str] = []
        self.texts: dict[str, str] = {}
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.tags:
            self.texts[self.tags[-1]] = self.texts.get(self.tags[-1], "") + data
        if self.tags and self.tags[-1] in ("td", "th") and self.cells:
            self.cells[-1] += data


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
PAGES: dict[str, dict[str, object]] = {
    "comparison.html": {
        **dict.fromkeys(("a", "b", "changed", "together"), HOSTILE),
        "notes": [HOSTILE],
        "head": [HOSTILE, HOSTILE],
        "rows": ROWS,
        "map": PIXELS,
        "changes": ROWS,
    },
    "report.html": {
        **{key: [HOSTILE] for key in ("facts", "warnings", "notes", "attribution")},
        "pictures": {HOSTILE: data_uri(PIXELS), "land cover": data_uri(PIXELS)},
        "ratio": "1 / 1",
        "scale": {"text": HOSTILE, "percent": "20"},
        "classes": [ROWS[0][0]],
        "ramps": [("confidence", [(50, (1, 2, 3))])],
        "tiles_said": HOSTILE,
        "doubt": {
            **dict.fromkeys(("share", "hectares"), HOSTILE),
            **dict.fromkeys(("by_class", "by_reason"), ROWS),
            "places": [(*ROWS[0], "1", "2", "3", "4")],
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
    assert scripts == text.count("</script>") == (template == "report.html")
    assert reader.addresses or scripts
    assert all(address.startswith("data:") for address in reader.addresses)
    assert "default-src 'none'" in text
    assert "http" not in text.replace("http-equiv", "")


def test_a_page_that_lacks_something_is_not_written() -> None:
    with pytest.raises(UndefinedError, match="'a' is undefined"):
        render("comparison.html", title="")


def test_all_pages_are_tried() -> None:
    shared = {"page.html", "macros.html", "viewer.html", "style.css"}
    names = {name for package in PACKAGES for name in environment(package).list_templates()}
    assert names - shared == PAGES.keys()
