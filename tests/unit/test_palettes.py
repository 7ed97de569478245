"""Palettes: colours that everybody tells apart, of any legend, and in grey print."""

import itertools
import random

import numpy as np
import pytest
from colour_vision import CONES, ciede2000, lightness_step, nearest_pair, seen
from inputs import write_tif
from legend_files import LEGENDS

from landcover_pnp.legend import WORKING
from landcover_pnp.legends.palettes import COLOUR_BLIND, coloured
from landcover_pnp.legends.result_legend import BUILDINGS, FIVE, GROUND, ResultClass, ResultLegend
from landcover_pnp.products.comparison import compare_maps, difference_legend
from landcover_pnp.products.rasters import (
    CONFIDENCE_RAMP,
    DOUBT_RAMP,
    ERRORS,
    extras_of,
    products_of,
)
from landcover_pnp.products.styles import RampStyle
from landcover_pnp.products.under_trees import ground_product
from landcover_pnp.products.virtual_mosaic import MapPlace
from landcover_pnp.storage.map_legend import TAG, legend_in, legend_tags

APART = 18
"""Least CIEDE2000 of two classes; 2 is just seen, 10 at a glance."""

STEP = 14
"""Least difference of lightness, of 0 to 100: six classes between 7 and 87."""


@pytest.mark.parametrize(
    ("one", "other", "published"),
    [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((6.7747, -0.2908, -2.4247), (5.8714, -0.0985, -2.2286), 0.6377),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((50, 0, 0), (50, -1, 2), 2.3669),
    ],
)
def test_the_measure_is_that_of_sharma_wu_and_dalal(
    one: tuple[float, ...], other: tuple[float, ...], published: float
) -> None:
    assert ciede2000(np.array(one), np.array(other)) == pytest.approx(published, abs=1e-4)


@pytest.mark.parametrize("how", CONES)
def test_all_pairs_of_classes_are_told_apart(how: str) -> None:
    assert COLOUR_BLIND.keys() == set(GROUND)
    assert nearest_pair(COLOUR_BLIND.values(), how) >= APART
    assert nearest_pair((c.colour for c in ERRORS.classes), how) >= APART
    ground = ground_product("colour_blind").style.legend  # type: ignore[attr-defined]
    assert nearest_pair((c.colour for c in ground.classes), how) >= APART


def test_the_standard_colours_are_not(subtests: pytest.Subtests) -> None:
    """The measure sees what the palette is for; the figures of docs/legends.md."""
    five = [c.colour for c in WORKING.classes]
    with subtests.test("five classes"):
        assert 10 < nearest_pair(five, "deuteranopia") < 11
    with subtests.test("buildings apart"):
        assert nearest_pair([*five, (178, 60, 44)], "deuteranopia") < 5
    with subtests.test("grey"):
        assert lightness_step(five) < 2


def test_grey_print_keeps_the_classes_apart() -> None:
    assert lightness_step(COLOUR_BLIND.values()) >= STEP


@pytest.mark.parametrize("how", CONES)
def test_ramps_rise_or_fall_in_lightness_for_everybody(how: str) -> None:
    ramps = {p.style for p in products_of(WORKING).values() if isinstance(p.style, RampStyle)}
    ramps |= {p.style for p in extras_of(WORKING).values() if isinstance(p.style, RampStyle)}
    assert {CONFIDENCE_RAMP, DOUBT_RAMP} <= ramps
    for ramp in ramps:
        light = np.diff(seen((colour for _, colour in ramp.stops), how)[:, 0])
        assert (light > 0).all() or (light < 0).all(), ramp


def test_every_legend_has_a_colour_of_its_own_for_each_class() -> None:
    rng = random.Random(0)
    drawn = list(LEGENDS.values())
    for number in range(200):
        ground = rng.sample(GROUND if number % 2 else WORKING.names, k=6 if number % 2 else 5)
        cuts = [0, *sorted(rng.sample(range(1, len(ground)), rng.randint(1, len(ground) - 1)))]
        parts = [ground[a:b] for a, b in itertools.pairwise([*cuts, len(ground)])]
        classes = [ResultClass(9 * i + 1, f"c{i}", [0, 0, 0], p) for i, p in enumerate(parts)]
        drawn.append(ResultLegend("drawn", classes))
    for legend in drawn:
        other = coloured(legend, "colour_blind")
        colours = [tuple(c.colour) for c in other.classes]
        assert len(set(colours)) == len(colours)
        assert set(colours) <= set(COLOUR_BLIND.values())
        assert other.tells_the_same(legend)
        assert other.ground == legend.ground
        assert other.is_working == legend.is_working
        assert coloured(legend, "standard") is legend


def test_a_class_has_the_colour_of_the_first_kind_that_it_holds() -> None:
    five = coloured(FIVE, "colour_blind").legend
    assert {c.name: c.colour for c in five.classes} == {
        name: colour for name, colour in COLOUR_BLIND.items() if name != BUILDINGS
    }
    assert five.name == WORKING.name


def test_a_raster_in_other_colours_says_so_and_is_read_so() -> None:
    legend = coloured(FIVE, "colour_blind")
    assert TAG in legend_tags(legend)
    assert not legend_tags(FIVE)
    assert legend_in(legend_tags(legend)) == legend


def test_comparisons_and_virtual_rasters_follow_the_palette(tmp_path) -> None:
    codes = np.arange(24, dtype=np.uint8).reshape(4, 6) % 5 + 1
    for name, pixels in (("a", codes), ("b", codes.T.reshape(4, 6))):
        write_tif(tmp_path / f"{name}.tif", pixels, nodata=0)
    maps = tmp_path / "a.tif", tmp_path / "b.tif"
    plain, other = (
        compare_maps(*maps, tmp_path / palette, palette) for palette in ("standard", "colour_blind")
    )
    assert not other.notes, "the maps have one legend, whatever its colours"
    np.testing.assert_array_equal(plain.transitions, other.transitions)
    assert [c.colour for c in other.classes] == list(COLOUR_BLIND.values())[:5]
    legend = difference_legend(other.transitions, other.classes)
    style = (tmp_path / "colour_blind" / "difference.qml").read_text()
    assert all("#{:02x}{:02x}{:02x}".format(*c.colour) in style for c in legend.classes)
    assert "#00c5ff" not in style
    for how in CONES:  # what is unchanged, too
        unchanged = legend.classes[0].colour
        assert nearest_pair([unchanged, *(c.colour for c in other.classes)], how) >= 10
    place = MapPlace.of(maps[0], "colour_blind")
    assert place.kind == MapPlace.of(maps[1], "colour_blind").kind


def test_legends_of_other_names_are_others() -> None:
    others = [ResultClass(c.code, c.name + "!", c.colour, c.of) for c in FIVE.classes]
    assert not ResultLegend("five", others).tells_the_same(FIVE)
