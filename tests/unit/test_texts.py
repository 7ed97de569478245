"""Texts that are more than text: control characters, formulas, addresses."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landcover_pnp.config.texts import (
    FORMULA,
    as_cell,
    control_character,
    is_elsewhere,
    require_local,
    require_text,
)
from landcover_pnp.errors import SettingsError


@given(st.text())
def test_control_characters_are_named_and_nothing_else(text: str) -> None:
    wrong = [
        c for c in text if unicodedata.category(c) in ("Cc", "Cs") or ord(c) & 0xFFFE == 0xFFFE
    ]
    assert control_character(text) == (f"U+{ord(wrong[0]):04X}" if wrong else "")


@pytest.mark.parametrize("code", [*range(32), 127, 128, 159, 0xD800, 0xFFFE, 0xFFFF, 0x1FFFE])
def test_every_control_character_is_refused(code: int) -> None:
    with pytest.raises(SettingsError, match=f"title is .*U\\+{code:04X}"):
        require_text("title", f"Durham{chr(code)}2012")


@pytest.mark.parametrize("text", ["Zürich – Süd", "東京", "a\u200db", "", None, 5])
def test_text_is_text(text: object) -> None:
    require_text("title", text)


@given(st.text())
def test_no_cell_begins_as_a_formula(text: str) -> None:
    cell = as_cell(text)
    assert not cell.startswith(FORMULA)
    assert cell.removeprefix("'" if text.startswith(FORMULA) else "") == text
    assert as_cell(cell) == cell


@pytest.mark.parametrize("value", [-5, -0.5, None, True])
def test_numbers_stay_numbers(value: object) -> None:
    assert as_cell(value) is value


@pytest.mark.parametrize(
    "path",
    [
        "https://example.org/naip.tif",
        "https:/example.org/naip.tif",
        "conf/https:/example.org/naip.tif",
        "s3://bucket/naip.tif",
        "zip+https://example.org/a.zip!naip.tif",
        "file:///data/naip.tif",
        "/vsicurl/https://example.org/naip.tif",
        "/vsizip/a.zip/naip.tif",
    ],
)
def test_addresses_are_no_local_paths(path: str) -> None:
    assert is_elsewhere(path)
    with pytest.raises(SettingsError, match=r"scene\.rasters\.image is"):
        require_local("scene.rasters.image", path)


@pytest.mark.parametrize("path", ["naip.tif", "/data/a:b.tif", "../x/y.tif", "a b/ü.tif", "vsi/a"])
def test_local_paths_are(path: str) -> None:
    require_local("image", path)
