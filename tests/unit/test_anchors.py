import numpy as np
from drawn_pixels import GREEN, GROUND, drawn
from inputs import NLCD, numbered

from landcover_pnp.evidence.anchors import (
    NOWHERE,
    OBJECTS,
    ROADS,
    WATER,
    CityPixels,
    GroundRows,
    colours,
    places,
)
from landcover_pnp.legends.coarse_legend import COARSE_NAMES, CoarseLegend


def test_places_are_coarse_classes_unless_an_object_covers_them() -> None:
    numbers = numbered(np.array([[21, 52, 0, 0, 41]]))
    roads = np.array([[0, 1, 0, 0, 0]], np.float32)
    water = np.array([[0, 0, 0, 0.6, 0]], np.float32)
    valid = np.array([[True, True, True, True, False]])
    found = places(numbers, {"roads": roads, "buildings": None, "water": water}, valid)
    lawn = len(OBJECTS) + NLCD.codes.index(21)
    assert found.tolist() == [[lawn, ROADS, NOWHERE, WATER, NOWHERE]]


def test_near_infrared_is_one_colour_more() -> None:
    image = np.random.default_rng(0).random((4, 8, 9)).astype(np.float32)
    valid = np.ones((8, 9), bool)
    assert len(colours(image, valid)) == len(colours(image[:3], valid)) + 2


def test_the_rows_of_each_kind_of_ground_are_those_of_its_role() -> None:
    codes = {kind: [NLCD.codes[row] for row in getattr(GROUND, kind)] for kind in vars(GROUND)}
    assert codes == {
        "developed": [21, 22, 23, 24],
        "shrub": [52],
        "grass": [71],
        "forest": [41, 42, 43],
        "barren": [31],
        "cultivated": [81, 82],
        "wetland": [90, 95],
    }
    for name in COARSE_NAMES:
        roles = CoarseLegend.load(name).roles
        for kind, rows in vars(GroundRows.of(roles)).items():
            assert [roles[row] for row in rows] == [kind] * roles.count(kind)


def test_pixels_are_chosen_and_joined_in_all_that_is_known_of_them() -> None:
    pixels = drawn((0, 0.5, 0.5), GREEN, count=50)
    first = np.arange(50) < 20
    again = CityPixels.joined([pixels.where(first), pixels.where(~first)])
    for name, values in vars(pixels).items():
        np.testing.assert_array_equal(getattr(again, name), values)
