"""Blending: tiles that agree give exactly what they agree on; what is missing stays empty."""

from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from odc.geo.geobox import GeoBox

from landcover_pnp.grid import Box, Tile, TileGrid
from landcover_pnp.pipeline.doubt import BAND as DOUBT_BAND
from landcover_pnp.pipeline.mosaic import TileResults, blend_tiles
from landcover_pnp.pipeline.tiles import METHODS
from landcover_pnp.products.rasters import (
    PERCENT_NO_DATA,
    classes,
    confidence,
    entropy,
    write_products,
)
from landcover_pnp.storage.geotiff import write_raster
from landcover_pnp.storage.probabilities import BAND, PROBABILITY_ONE

GRID = TileGrid(GeoBox.from_bbox((0, 0, 4 * 90, 4 * 70), "EPSG:26917", resolution=4), 30, 8)


def whole_map(seed: int = 0) -> np.ndarray:
    """(class, y, x) probabilities with a hole of no data."""
    p = np.random.default_rng(seed).dirichlet(np.ones(5), GRID.geobox.shape)
    p[20:40, 50:60] = 0
    return p.transpose(2, 0, 1)


def write_tiles(folder: Path, p: np.ndarray, methods: tuple[str, ...] = ("map",)) -> TileResults:
    for tile in GRID:
        stored = np.rint(p[:, *tile.canvas.within(GRID.extent)] * PROBABILITY_ONE).astype("uint16")
        geobox = GRID.geobox[tile.canvas.within(GRID.extent)]
        box = Box(0, stored.shape[1], 0, stored.shape[2])
        for method in methods:
            write_raster(folder / f"{tile.id}_{method}.tif", geobox, BAND, [(box, stored)])
    return TileResults(GRID, folder, {tile.id for tile in GRID})


def written_products(folder: Path) -> list[Path]:
    results = write_tiles(folder / "tiles", whole_map(), METHODS)
    for method in METHODS:
        blend_tiles(results, method, folder / "probabilities" / f"{method}.tif")
    doubt = np.where(whole_map().any(axis=0), 30, PERCENT_NO_DATA).astype(np.uint8)
    whole = [(GRID.extent, np.stack([doubt, np.zeros_like(doubt)]))]
    write_raster(folder / "probabilities" / "doubt.tif", GRID.geobox, DOUBT_BAND, whole)
    return write_products(folder / "probabilities", folder)


def test_tiles_that_differ_are_blended_by_their_weights(tmp_path: Path) -> None:
    results, expected = write_tiles(tmp_path, whole_map()), np.zeros((5, *GRID.geobox.shape))
    drawn = {}
    for number, tile in enumerate(GRID):
        drawn[tile.id] = np.random.default_rng(number).dirichlet(np.ones(5), tile.canvas.shape)
        drawn[tile.id] = drawn[tile.id].transpose(2, 0, 1) * PROBABILITY_ONE
        weighted = drawn[tile.id] * GRID.blend_weights(tile) / PROBABILITY_ONE
        expected[:, *tile.canvas.within(GRID.extent)] += weighted
    for tile in GRID:
        core = results.blended(tile, lambda neighbour: drawn[neighbour.id])
        inside = expected[:, *tile.core.within(GRID.extent)]
        np.testing.assert_allclose(core, inside, atol=1e-5)


def test_tiles_that_agree_are_returned_as_they_are(tmp_path: Path) -> None:
    results = write_tiles(tmp_path, whole_map())
    blend_tiles(results, "map", tmp_path / "whole.tif")
    with rasterio.open(tmp_path / "whole.tif") as source:
        blended = source.read() / PROBABILITY_ONE
    np.testing.assert_allclose(blended, whole_map(), atol=2 / PROBABILITY_ONE)
    np.testing.assert_array_equal(blended.any(axis=0), whole_map().any(axis=0))


@pytest.mark.parametrize(("held_bytes", "times"), [(10**6, 1), (0, 3)])
def test_a_tile_is_decoded_once_or_in_little_memory_three_times(
    held_bytes: int, times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, decoded = write_tiles(tmp_path, whole_map()), Counter[str]()
    blend_tiles(results, "map", tmp_path / "before.tif")
    stored = TileResults.stored

    def counted(self: TileResults, tile: Tile, method: str) -> np.ndarray:
        decoded[tile.id] += 1
        return stored(self, tile, method)

    monkeypatch.setattr(TileResults, "stored", counted)
    monkeypatch.setattr("landcover_pnp.pipeline.mosaic.HELD_BYTES", held_bytes)
    blend_tiles(results, "map", tmp_path / "whole.tif")
    assert (tmp_path / "whole.tif").read_bytes() == (tmp_path / "before.tif").read_bytes()
    assert decoded.keys() == results.done
    assert max(decoded.values()) <= times


def test_a_missing_tile_is_no_data_in_its_core_alone(tmp_path: Path) -> None:
    results = write_tiles(tmp_path, whole_map())
    missing = GRID.tile(1, 1)
    without = TileResults(GRID, tmp_path, results.done - {missing.id})
    for tile in GRID:
        blended = without.blended(tile, partial(without.stored, method="map"))
        if tile == missing:
            assert not blended.any()
        else:
            expected = whole_map()[:, *tile.core.within(GRID.extent)]
            np.testing.assert_allclose(blended, expected, atol=2 / PROBABILITY_ONE)


def test_products_keep_no_data_and_legend(tmp_path: Path) -> None:
    paths = written_products(tmp_path)
    assert [path.stem for path in paths][:3] == ["landcover", "confidence", "entropy"]
    empty = ~whole_map().any(axis=0)
    for path in paths:
        with rasterio.open(path) as source:
            assert source.crs.to_epsg() == 26917
            np.testing.assert_array_equal(source.read(1) == source.nodata, empty)
    with rasterio.open(paths[0]) as source:
        np.testing.assert_array_equal(source.read(1)[~empty], whole_map().argmax(0)[~empty] + 1)


PROBABILITIES = arrays(np.float32, (5, 3, 4), elements=st.floats(0, 1, width=32))


@given(PROBABILITIES)
def test_percentages_stay_in_their_range(raw: np.ndarray) -> None:
    mass = raw.sum(axis=0)
    p = np.divide(raw, mass, out=np.zeros_like(raw), where=mass > 1e-3)
    known = p.any(axis=0)
    for percent in (confidence(p), entropy(p)):
        assert (percent[known] <= 100).all()
        assert (percent[~known] == PERCENT_NO_DATA).all()
    assert (confidence(p)[known] >= 20).all()
    assert (classes(p)[known] == p.argmax(axis=0)[known] + 1).all()
    assert (classes(p)[~known] == 0).all()


def test_entropy_of_the_extremes() -> None:
    certain = np.eye(5, dtype=np.float32)[:, :1, None]
    uniform = np.full((5, 1, 1), 0.2, np.float32)
    assert entropy(certain).item() == 0
    assert entropy(uniform).item() == 100
    assert confidence(uniform).item() == 20


def test_products_do_not_depend_on_when_they_are_written(tmp_path: Path) -> None:
    first = {}
    for folder in (tmp_path / "a", tmp_path / "b"):
        for path in written_products(folder):
            assert first.setdefault(path.name, path.read_bytes()) == path.read_bytes()
