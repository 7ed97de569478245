import numpy as np
import pytest

from landcover_pnp.evidence.spectral_indices import (
    RoadReference,
    class_given_colour,
    class_given_indices,
    road_reference,
)


def test_trees_are_green_grass_is_not_dark_and_roads_are_not_green() -> None:
    indices = np.array([[-0.05, 0.1, 0.1], [0.5, 0.2, 0.5], [0, -0.1, -0.1]])
    road, tree, lawn = class_given_indices(indices, RoadReference(0, 0.5, 0))
    assert road[3] < road[4] < road[1]
    assert tree[3] > tree[4] > tree[1]
    assert lawn[4] > lawn[1]
    assert tree[4] < lawn[4]
    assert tree[3] == lawn[3]  # sunlit crowns are bright
    for fits in (road, tree, lawn):
        assert ((fits > 0) & (fits <= 1)).all()
    unlit = class_given_indices(indices, RoadReference(0, None, None))
    np.testing.assert_array_equal(unlit[1], unlit[2])  # no roads, no measure of light


def test_a_colour_tells_more_than_a_pixel() -> None:
    grove, crown, lawn, steppe = [0.1, 0.2, 0], [0.1, 0.5, 0], [0.1, 0.5, 0], [-0.06, 0.5, 0.2]
    indices, roads = np.stack([grove, crown, lawn, steppe], axis=1), RoadReference(0, 0.5, None)
    pixel, colour = class_given_indices(indices, roads), class_given_colour(indices, roads)
    np.testing.assert_allclose(colour[0], pixel[0], rtol=0.01)
    assert colour[1, 3] < 0.7 * pixel[1, 3]  # bright trees
    np.testing.assert_allclose(colour[2, 4], pixel[2, 4], rtol=0.01)
    assert colour[3, 4] < 0.4 * pixel[3, 4]  # red grass
    np.testing.assert_array_equal(colour[:, :3], pixel[:, :3])
    assert ((colour > 0) & (colour <= pixel)).all()
    # What roofs and soil share is not given to one of them as a whole.
    np.testing.assert_array_equal(class_given_colour(indices, RoadReference(0, 0.5, 0)), colour)


def test_soil_is_redder_than_the_roads_and_paving_is_not() -> None:
    indices = np.array([[-0.02, -0.02], [0.5, 0.5], [0.05, 0.14]])
    grey, ochre = class_given_indices(indices, RoadReference(0, 0.5, 0.05))
    assert grey[1] > 2 * grey[2]
    assert ochre[2] > 2 * ochre[1]
    np.testing.assert_array_equal(grey[3:], ochre[3:])
    unknown = class_given_indices(indices, RoadReference(0, 0.5, None))
    np.testing.assert_array_equal(unknown[0], unknown[1])


@pytest.mark.parametrize("cast", [-0.03, 0.0, 0.02])
def test_roads_tell_the_cast_of_the_camera_and_the_light(cast: float) -> None:
    on_road = np.arange(400) >= 200
    indices = np.where(on_road, [[cast], [0.6], [0.05 + cast]], [[0.3], [0.4], [0.2]])
    roads = road_reference(indices, on_road)
    assert roads is not None
    assert roads.greenness == pytest.approx(cast)
    assert roads.brightness == pytest.approx(0.6)
    assert roads.redness == pytest.approx(0.05 + cast)
    blue = road_reference(indices - [[0], [0], [0.2]], on_road)
    assert blue is not None
    assert blue.redness == 0  # haze, not the light
    assert road_reference(indices[:, :250], on_road[:250]) == RoadReference(
        0, None, None
    )  # too few


@pytest.mark.parametrize("light", [0.5, 1.0, 1.5])
def test_the_light_of_the_day_does_not_matter(light: float) -> None:
    indices = np.array([[0.1, 0.1, -0.05], [0.2, 0.5, 0.4], [0, 0.1, 0.1]])
    darker = indices * [[1], [light], [1]]
    for fits in (class_given_indices, class_given_colour):
        np.testing.assert_allclose(
            fits(darker, RoadReference(0, 0.5 * light, 0.02)),
            fits(indices, RoadReference(0, 0.5, 0.02)),
        )
