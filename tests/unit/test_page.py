"""Pages: what goes in as text comes out as text, and nothing is fetched from anywhere."""

import base64
import io
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from landcover_pnp.products.page import Html, data_uri, escaped, page, picture, swatch, table

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)


class Reader(HTMLParser):
    """Collects the texts of table cells, all tags and all addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] in ("td", "th") and self.cells:
            self.cells[-1] += data


def parsed(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


@given(st.lists(st.tuples(TEXT, TEXT), max_size=4), st.tuples(TEXT, TEXT))
def test_a_table_holds_its_texts_and_no_tag_of_theirs(
    rows: list[tuple[str, str]], head: tuple[str, str]
) -> None:
    reader = parsed(table(head, rows))
    assert [c.rstrip("\n") for c in reader.cells] == [
        c.rstrip("\n") for row in [head, *rows] for c in row
    ]
    assert set(reader.tags) <= {"table", "thead", "tbody", "tr", "td", "th"}


def test_html_is_taken_as_it_is_and_text_is_not() -> None:
    assert escaped("<b>") == "&lt;b&gt;"
    assert escaped(Html("<b>")) == "<b>"
    assert '"' not in escaped('"')


@pytest.mark.parametrize(
    ("cells", "right"), [(["1", "2.5 %", "-"], True), (["1,200", "x"], False), ([], False)]
)
def test_only_columns_of_numbers_stand_right(cells: list[str], right: bool) -> None:
    assert ("class=number" in table(["n"], [[c] for c in cells])) is right


def test_a_picture_carries_its_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 5, 4), dtype=np.uint8)
    kind, _, text = data_uri(pixels).partition(",")
    assert kind == "data:image/png;base64"
    read = Image.open(io.BytesIO(base64.b64decode(text)))
    np.testing.assert_array_equal(np.asarray(read), pixels)


def test_a_page_needs_nothing_but_itself() -> None:
    body = picture(np.zeros((2, 2), np.uint8), 'a "picture"') + swatch((1, 2, 3))
    html = page("<Gewässer> & 'co'", body)
    reader = parsed(html)
    assert reader.addresses
    assert all(address.startswith("data:") for address in reader.addresses)
    assert "default-src 'none'" in html
    assert "<title>&lt;Gewässer&gt; &amp; &#x27;co&#x27;</title>" in html
    assert "http" not in html.replace("http-equiv", "")
