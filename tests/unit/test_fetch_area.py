"""Areas and images of a fetch: which ground is meant, and the fewest newest images of it."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import geopandas as gpd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from landcover_pnp.errors import CoverageWarning, GridError, RasterError, SettingsError
from landcover_pnp.fetch.area import Area, box_area, file_area
from landcover_pnp.fetch.catalogue import Found
from landcover_pnp.fetch.choice import WHOLE, choose_images

AREA = Area("here", shapely.box(0, 0, 4, 4), box=True)


def image(name: str, year: int, *box: float) -> Found:
    date = datetime(year, 6, 1, tzinfo=UTC)
    return Found(name, date, shapely.box(*box), f"https://a.example/{name}.tif", "", None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("-79,35.9,-78.9", "four|W|west, south"),
        ("a,b,c,d", "west, south"),
        ("-78,35,-79,36", "west is less than east"),
        ("-79,36,-78,35", "south less than north"),
        ("35.9,-179,36.1,-178.8", "longitude comes first"),
        ("nan,0,1,1", "west, south"),
        ("-179,-80,179,80", "at most 60 degrees"),
        ("0,0,0,0", "west is less than east"),
        ("1e400,0,1,1", "west, south"),
    ],
)
def test_boxes_that_are_none(text: str, says: str) -> None:
    with pytest.raises((SettingsError, GridError), match=says):
        box_area(text)


@given(st.floats(-179, 178), st.floats(-80, 79), st.floats(1e-3, 1.0), st.floats(1e-3, 1.0))
def test_a_box_is_what_was_written(west: float, south: float, width: float, height: float) -> None:
    area = box_area(f"{west},{south},{west + width},{south + height}")
    assert area.bounds == pytest.approx((west, south, west + width, south + height), abs=1e-9)
    assert 0 < area.km2 < 12_400 * 1.01 * width * height + 1


def test_an_area_of_a_file_has_its_surface_in_any_crs(tmp_path: Path) -> None:
    square = gpd.GeoSeries([shapely.box(500_000, 4_000_000, 502_000, 4_001_000)], crs="EPSG:26917")
    for crs in ("EPSG:26917", "EPSG:3857", "EPSG:4326"):
        path = tmp_path / f"{crs[5:]}.gpkg"
        square.to_crs(crs).to_file(path)
        assert file_area(path).km2 == pytest.approx(2.0, rel=2e-3)  # the scale of UTM
    square.boundary.to_file(tmp_path / "lines.gpkg")
    with pytest.raises(GridError, match="not a valid polygon"):
        file_area(tmp_path / "lines.gpkg")
    with pytest.raises(RasterError, match="missing"):
        file_area(tmp_path / "none.gpkg")


def test_the_newest_year_that_covers_the_area_is_chosen() -> None:
    items = [
        image("old", 2018, 0, 0, 4, 4),
        image("west", 2022, 0, 0, 2, 4),
        image("east", 2022, 2, 0, 4, 4),
        image("half", 2024, 0, 0, 3, 4),
    ]
    assert {i.name for i in choose_images(items, AREA).images} == {"west", "east"}
    assert [i.name for i in choose_images(items, AREA, 2018).images] == ["old"]
    with pytest.warns(CoverageWarning, match="cover 75.0%"):
        assert choose_images(items, AREA, 2024).share == pytest.approx(0.75)
    mixed = choose_images(items, AREA, mixed_years=True)
    assert [i.name for i in mixed.images] == ["half", "east"]
    assert mixed.years == (2024, 2022)


def test_of_two_images_that_show_as_much_the_newer_is_chosen() -> None:
    first = image("first", 2022, 0, 0, 4, 4)
    later = replace(image("again", 2022, 0, 0, 4, 4), date=datetime(2022, 9, 1, tzinfo=UTC))
    for items in ([first, later], [later, first]):
        assert [i.name for i in choose_images(items, AREA).images] == ["again"]


def test_years_are_mixed_only_where_that_is_allowed() -> None:
    items = [image("west", 2020, 0, 0, 2, 4), image("east", 2022, 2, 0, 4, 4)]
    with pytest.raises(SettingsError, match=r"2022 \(50% of the area\), 2020 \(50% of the area\)"):
        choose_images(items, AREA)
    assert choose_images(items, AREA, mixed_years=True).share == 1
    with pytest.raises(SettingsError, match="no images of 2021"):
        choose_images(items, AREA, 2021)


boxes = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 4), st.integers(1, 4))


@given(st.lists(st.tuples(boxes, st.sampled_from((2018, 2020, 2022))), min_size=1, max_size=12))
def test_chosen_images_cover_what_all_cover_and_none_is_superfluous(
    drawn: list[tuple[tuple[int, int, int, int], int]],
) -> None:
    items = [
        image(f"i{n}", year, x, y, x + w, y + h) for n, ((x, y, w, h), year) in enumerate(drawn)
    ]
    whole = AREA.share_in(shapely.union_all([i.footprint for i in items]))
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CoverageWarning)
        chosen = choose_images(items, AREA, mixed_years=True)
    assert chosen.share == pytest.approx(whole, abs=1 - WHOLE)
    for left_out in chosen.images:
        rest = [i.footprint for i in chosen.images if i is not left_out]
        assert AREA.share_in(shapely.union_all(rest)) < whole - 1e-5
