import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from landcover_pnp.errors import GridError
from landcover_pnp.grid import Box, TileGrid


@st.composite
def tile_grids(draw: st.DrawFn) -> TileGrid:
    height, width = draw(st.integers(1, 90)), draw(st.integers(1, 90))
    core = draw(st.integers(6, 40))
    ring = draw(st.integers(0, core // 2))
    geobox = GeoBox.from_bbox((0, 0, 4 * width, 4 * height), "EPSG:26917", resolution=4)
    return TileGrid(geobox, core, ring)


@given(tile_grids())
def test_cores_partition_the_grid(grid: TileGrid) -> None:
    count = np.zeros(grid.geobox.shape, int)
    for tile in grid:
        count[tile.core.within(grid.extent)] += 1
    assert (count == 1).all()


@given(tile_grids())
def test_blend_weights_sum_to_one_everywhere(grid: TileGrid) -> None:
    total = np.zeros(grid.geobox.shape)
    for tile in grid:
        weights = grid.blend_weights(tile)
        assert weights.shape == tile.canvas.shape
        assert (weights >= 0).all()
        total[tile.canvas.within(grid.extent)] += weights
    np.testing.assert_allclose(total, 1, atol=1e-6)


@given(tile_grids())
def test_only_neighbours_have_a_say_in_a_core(grid: TileGrid) -> None:
    for tile in grid:
        total = np.zeros(tile.core.shape)
        for neighbour in grid.neighbours(tile):
            part = neighbour.canvas.clip(tile.core)
            if not part.is_empty:
                weights = grid.blend_weights(neighbour)[part.within(neighbour.canvas)]
                total[part.within(tile.core)] += weights
        np.testing.assert_allclose(total, 1, atol=1e-6)


@given(tile_grids())
def test_names_lead_back_to_their_tiles(grid: TileGrid) -> None:
    assert [grid.tile_by_id(tile.id) for tile in grid] == list(grid)
    assert len(grid) == len(list(grid))


@given(st.text(max_size=12) | st.from_regex(r"r\d{4}c\d{4}", fullmatch=True))
def test_other_names_are_refused(name: str) -> None:
    grid = TileGrid(GeoBox.from_bbox((0, 0, 40, 40), "EPSG:26917", resolution=4), 4, 1)
    if name not in {tile.id for tile in grid}:
        with pytest.raises(GridError):
            grid.tile_by_id(name)


@pytest.mark.parametrize(("core", "ring"), [(0, 0), (10, 6), (10, -1)])
def test_impossible_rings_are_refused(core: int, ring: int) -> None:
    geobox = GeoBox.from_bbox((0, 0, 40, 40), "EPSG:26917", resolution=4)
    with pytest.raises(GridError, match="half a core"):
        TileGrid(geobox, core, ring)


def test_box_clip_and_within() -> None:
    box = Box(0, 10, 0, 10)
    assert box.grow(3) == Box(-3, 13, -3, 13)
    assert box.grow(3).clip(box) == box
    assert Box(2, 4, 5, 9).within(box) == (slice(2, 4), slice(5, 9))
    assert Box(12, 14, 0, 3).clip(box).is_empty
