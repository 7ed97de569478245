import numpy as np

from landcover_pnp.evidence.matrix_refinement import NOWHERE, ROADS, colours, places, refine_matrix
from landcover_pnp.evidence.settings import RefinementSettings
from landcover_pnp.evidence.spectral_indices import index_values, road_reference
from landcover_pnp.evidence.weak_labels import DEFINITIONS
from landcover_pnp.legend import NLCD

# Colours (R,G,B) of water, impervious, soil, trees, grass; the last two are green.
COLOURS = np.array(
    [[0.1, 0.1, 0.2], [0.5, 0.5, 0.5], [0.6, 0.5, 0.4], [0.15, 0.25, 0.15], [0.42, 0.5, 0.3]]
)
LAWN, SHRUB, FOREST = (NLCD.codes.index(code) for code in (21, 52, 41))


def desert(seed: int = 0, count: int = 6000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, spectral indices and places of a city whose shrubland is bare soil."""
    rng = np.random.default_rng(seed)
    place = rng.choice([LAWN, SHRUB, FOREST, ROADS], count, p=[0.3, 0.4, 0.1, 0.2])
    shares = {
        LAWN: [0, 0.3, 0.4, 0.1, 0.2],
        SHRUB: [0, 0, 1, 0, 0],
        FOREST: [0, 0, 0, 0.9, 0.1],
        ROADS: [0, 0.95, 0, 0.05, 0],
    }
    label = np.array([rng.choice(5, p=shares[p]) for p in place])
    pixels = (COLOURS[label] + rng.normal(0, 0.01, (count, 3))).T.astype(np.float32)[:, None]
    return pixels[:, 0], index_values(pixels)[:, 0], place


def test_bare_soil_called_shrubland_is_found_out() -> None:
    refinement = refine_matrix(*desert(), DEFINITIONS, RefinementSettings(colours=12), seed=0)
    assert DEFINITIONS[SHRUB].argmax() == 3  # the texts say trees
    assert refinement.matrix[SHRUB].argmax() == 2
    assert refinement.matrix[FOREST].argmax() == 3
    assert refinement.change > 0.2


def test_a_right_matrix_is_left_about_as_it_is() -> None:
    right = DEFINITIONS.copy()
    right[[LAWN, SHRUB, FOREST]] = [
        [0.002, 0.298, 0.4, 0.1, 0.2],
        [0.002, 0.002, 0.992, 0.002, 0.002],
        [0.002, 0.002, 0.002, 0.892, 0.102],
    ]
    refinement = refine_matrix(*desert(), right, RefinementSettings(colours=12), seed=0)
    assert refinement.change < 0.1


def test_rows_stay_probabilities_and_absent_classes_stay_as_given() -> None:
    refinement = refine_matrix(*desert(), DEFINITIONS, RefinementSettings(colours=8), seed=0)
    np.testing.assert_allclose(refinement.matrix.sum(axis=1), 1)
    absent = np.setdiff1d(np.arange(len(DEFINITIONS)), [LAWN, SHRUB, FOREST])
    np.testing.assert_array_equal(refinement.matrix[absent], DEFINITIONS[absent])


def test_keeping_more_changes_less() -> None:
    changes = [
        refine_matrix(
            *desert(), DEFINITIONS, RefinementSettings(colours=8, keep=keep), seed=0
        ).change
        for keep in (0.1, 1.0, 1e6)
    ]
    assert changes == sorted(changes, reverse=True)
    assert changes[-1] < 1e-3


def test_the_same_seed_gives_the_same_matrix() -> None:
    one, other = (
        refine_matrix(*desert(), DEFINITIONS, RefinementSettings(colours=8), seed=3)
        for _ in range(2)
    )
    np.testing.assert_array_equal(one.matrix, other.matrix)


def test_shadows_make_no_water_where_none_is_expected() -> None:
    features, indices, place = desert()
    dark = np.random.default_rng(1).random(len(place)) < 0.2
    features[:, dark & (place != ROADS)] = COLOURS[0][:, None]  # as dark as water is
    refinement = refine_matrix(
        features, indices, place, DEFINITIONS, RefinementSettings(colours=12), seed=0
    )
    dry = [LAWN, SHRUB, FOREST]
    assert (refinement.matrix[dry, 0] <= DEFINITIONS[dry, 0] + 1e-9).all()
    np.testing.assert_allclose(refinement.matrix.sum(axis=1), 1)


def test_open_water_may_become_more_water() -> None:
    features, indices, place = desert()
    lake = NLCD.codes.index(11)
    place[place == FOREST] = lake
    features[:, place == lake] = COLOURS[0][:, None]
    doubtful = DEFINITIONS.copy()
    doubtful[lake] = 0.2
    refinement = refine_matrix(
        features, indices, place, doubtful, RefinementSettings(colours=12), seed=0
    )
    assert refinement.matrix[lake, 0] > 0.3


def test_an_image_without_colour_is_repaired_by_its_brightness_alone() -> None:
    features, indices, place = desert()
    indices[0] = np.random.default_rng(0).normal(0, 0.002, len(place))
    assert road_reference(indices, place == ROADS) is None
    refinement = refine_matrix(
        features, indices, place, DEFINITIONS, RefinementSettings(colours=12), seed=0
    )
    # Were greenness to count, nothing would be green, and the forest gone.
    assert refinement.matrix[FOREST].argmax() == 3


def test_places_are_nlcd_classes_unless_an_object_covers_them() -> None:
    nlcd = np.array([[21, 52, 0, 41]], np.uint8)
    roads = np.array([[0, 1, 0, 0]], np.float32)
    valid = np.array([[True, True, True, False]])
    found = places(nlcd, {"roads": roads, "buildings": None}, valid)
    assert found.tolist() == [[LAWN, ROADS, NOWHERE, NOWHERE]]


def test_without_any_pixel_the_matrix_stays_as_given() -> None:
    nothing = [part[..., :0] for part in desert()]
    refinement = refine_matrix(*nothing, DEFINITIONS, RefinementSettings(), seed=0)
    np.testing.assert_array_equal(refinement.matrix, DEFINITIONS)
    assert refinement.change == 0


def test_near_infrared_is_one_colour_more() -> None:
    image = np.random.default_rng(0).random((4, 8, 9)).astype(np.float32)
    valid = np.ones((8, 9), bool)
    assert len(colours(image, valid)) == len(colours(image[:3], valid)) + 2


def test_dry_ground_called_grassland_is_found_out() -> None:
    features, indices, place = desert()
    herbs = NLCD.codes.index(71)
    place[place == SHRUB] = herbs  # its bare soil, redder than the roads
    assert DEFINITIONS[herbs].argmax() == 4
    refinement = refine_matrix(
        features, indices, place, DEFINITIONS, RefinementSettings(colours=12), seed=0
    )
    assert refinement.matrix[herbs].argmax() == 2
