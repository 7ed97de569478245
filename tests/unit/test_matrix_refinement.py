import dataclasses

import numpy as np
import pytest
from drawn_pixels import DRY, FOREST, GREEN, GROUND, LOW, OPEN, ROLES, SHRUB, drawn
from inputs import DEFINITIONS

from landcover_pnp.evidence.anchors import CityPixels
from landcover_pnp.evidence.matrix_refinement import Refinement, held_out_step, refine_matrix
from landcover_pnp.evidence.settings import RefinementSettings

DESERT, GREEN_CITY = (0.9, 0.05, 0.05), (0.0, 0.7, 0.3)


def refined(
    pixels: CityPixels, matrix: np.ndarray = DEFINITIONS, seed: int = 0, **changed: float
) -> Refinement:
    chosen = dataclasses.replace(RefinementSettings(colours=12), **changed)
    return refine_matrix(pixels, matrix, ROLES, chosen, seed)


def with_mix(mix: tuple[float, float, float]) -> np.ndarray:
    """The definitions with a mix in developed ground and shrubland."""
    matrix = DEFINITIONS.copy()
    for row in (*GROUND.developed, *GROUND.shrub):
        matrix[row, 2:] = matrix[row, 2:].sum() * np.array(mix)
    return matrix


def test_bare_yards_and_shrubland_are_found_out() -> None:
    refinement = refined(drawn(DESERT, DRY))
    assert DEFINITIONS[SHRUB].argmax() == 3  # the texts say trees
    assert refinement.matrix[SHRUB].argmax() == 2
    assert refinement.matrix[OPEN].argmax() == 2
    assert refinement.change > 0.2
    assert refinement.step == 1


def test_lawns_that_are_woods_are_found_out() -> None:
    refinement = refined(drawn(GREEN_CITY, GREEN))
    assert DEFINITIONS[OPEN].argmax() == 4
    assert refinement.matrix[OPEN].argmax() == 3


@pytest.mark.parametrize(("mix", "around"), [(DESERT, DRY), ((0.01, 0.5, 0.49), GREEN)])
def test_a_right_matrix_is_left_about_as_it_is(
    mix: tuple[float, float, float], around: dict[int, float]
) -> None:
    assert refined(drawn(mix, around), with_mix(mix)).change < 0.05


def test_wrong_matrices_of_other_cities_are_left() -> None:
    to_green = refined(drawn(GREEN_CITY, GREEN), with_mix(DESERT))
    assert to_green.matrix[LOW, 2] < 0.1 < with_mix(DESERT)[LOW, 2]
    to_desert = refined(drawn(DESERT, DRY), with_mix(GREEN_CITY))
    assert to_desert.matrix[LOW, 2] > 0.4 > with_mix(GREEN_CITY)[LOW, 2]


@pytest.mark.parametrize(("blocks_for", "step"), [(1, 0), (36, 1)])
def test_only_a_gain_above_its_error_in_held_out_blocks_moves_the_matrix(
    blocks_for: int, step: float
) -> None:
    """Of 40 blocks some speak for another matrix, one slightly against it, the rest for neither."""
    pixels = drawn(GREEN_CITY, {OPEN: 0.8})
    other = DEFINITIONS[:, [0, 1, 3, 2, 4]]
    likelihood = np.ones((len(pixels.place), 5))
    likelihood[pixels.block < blocks_for, 2] = 5
    likelihood[pixels.block == 39, 3] = 2
    seen = []

    def towards(chosen: np.ndarray) -> np.ndarray:
        seen.append(set(pixels.block[chosen]))
        return other

    assert held_out_step(pixels, DEFINITIONS, likelihood, towards, seed=0) == step
    assert len(seen) == 2 and not seen[0] & seen[1]  # each half is judged by the other alone


def test_few_blocks_move_nothing() -> None:
    pixels = drawn(DESERT, DRY)
    small = pixels.where(pixels.block < 7)
    refinement = refined(small)
    assert refinement.step == 0
    np.testing.assert_array_equal(refinement.matrix, DEFINITIONS)


def test_rows_stay_probabilities_and_anchors_stay_as_given() -> None:
    refinement = refined(drawn(DESERT, DRY | {FOREST: 0.1}))
    np.testing.assert_allclose(refinement.matrix.sum(axis=1), 1)
    moving = (*GROUND.developed, *GROUND.shrub, *GROUND.grass)
    others = np.setdiff1d(np.arange(len(DEFINITIONS)), moving)
    np.testing.assert_array_equal(refinement.matrix[others], DEFINITIONS[others])
    np.testing.assert_array_equal(refinement.moved[others], 0)
    # Shadows make no water, and yards no streets.
    np.testing.assert_allclose(refinement.matrix[:, :2], DEFINITIONS[:, :2])


def test_the_same_seed_gives_the_same_matrix() -> None:
    one, other = (refined(drawn(DESERT, DRY), colours=8, seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.matrix, other.matrix)


def test_an_image_without_colour_moves_nothing() -> None:
    pixels = drawn(DESERT, DRY)
    noise = np.random.default_rng(0).normal(0, 0.002, pixels.place.shape).astype(np.float32)
    grey = dataclasses.replace(pixels, indices=np.stack([noise, *pixels.indices[1:]]))
    refinement = refined(grey)
    assert refinement.mix is None
    np.testing.assert_array_equal(refinement.matrix, DEFINITIONS)


def test_without_any_pixel_the_matrix_stays_as_given() -> None:
    pixels = drawn(DESERT, DRY)
    refinement = refined(pixels.where(np.zeros(pixels.place.shape, bool)))
    np.testing.assert_array_equal(refinement.matrix, DEFINITIONS)
    assert refinement.change == 0
