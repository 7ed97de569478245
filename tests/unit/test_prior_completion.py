"""What the prior completes around edits: unsure ground near them, and nothing else."""

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from affine import Affine
from masked_priors import independent, tiny_masked
from masked_priors import known as known_prior
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from landcover_pnp.grid import Box
from landcover_pnp.pipeline import completion
from landcover_pnp.pipeline.completion import Completion
from landcover_pnp.scenes.overlay import Overlay
from landcover_pnp.storage.geotiff import Band, write_raster
from landcover_pnp.storage.probabilities import BAND, decode, encode
from landcover_pnp.storage.run_folder import DRAWN, STUDENT, RunFolder
from landcover_pnp.student.known_ground import KnownGround

SIDE, FACTOR = 24, 2
WORKING = GeoBox((SIDE, SIDE), Affine(4, 0, 0, 0, -4, 0), "EPSG:26917")
FINE = GeoBox((SIDE * FACTOR, SIDE * FACTOR), Affine(2, 0, 0, 0, -2, 0), "EPSG:26917")


@pytest.fixture
def world(tmp_path: Path) -> tuple[Any, KnownGround, NDArray[np.uint16]]:
    """A run as far as completion asks: its map, and an edit of 4 x 4 working pixels."""
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(5, 0.6), (SIDE * FACTOR, SIDE * FACTOR))
    stored = encode(np.moveaxis(p, -1, 0).astype(np.float32))
    stored[:, :6] = 0
    codes = np.zeros(FINE.shape, np.uint8)
    codes[20:28, 20:28] = 2
    paths = RunFolder(tmp_path)
    whole = Box(0, SIDE * FACTOR, 0, SIDE * FACTOR)
    before = stored.copy()
    before[:, codes > 0] = 0
    before[3, codes > 0] = 65535
    write_raster(paths.probability(STUDENT), FINE, BAND, [(whole, before)])
    stored[:, codes > 0] = 0
    stored[1, codes > 0] = 65535
    write_raster(paths.corrected.probability(DRAWN), FINE, BAND, [(whole, stored)])
    write_raster(
        paths.corrected.edits, FINE, Band("uint8", ("e",), nodata=0), [(whole, codes[None])]
    )
    scene = SimpleNamespace(extent=Box(0, SIDE, 0, SIDE), resolution_m=4.0)
    fine = SimpleNamespace(overlay=Overlay(WORKING, FINE))
    mapped: Any = SimpleNamespace(run=tmp_path, scene=scene, fine=fine)
    return mapped, KnownGround(paths.corrected.edits, WORKING, 0.1), stored


def joined(parts: Iterator[tuple[Box, NDArray[np.uint16]]]) -> NDArray[np.uint16]:
    found = np.zeros((5, *FINE.shape), np.uint16)
    for box, pixels in parts:
        found[:, box.y0 : box.y1, box.x0 : box.x1] = pixels
    return found


def test_only_unsure_pixels_near_an_edit_change(world: Any) -> None:
    mapped, known, stored = world
    found = joined(Completion(tiny_masked(), 12.0, 0.7).parts(mapped, known))
    changed = (found != stored).any(axis=0)
    working = mapped.fine.overlay.mean(decode(stored), mapped.scene.extent)
    y, x = np.nonzero(changed)
    assert len(y) > 20
    assert (working[:, y // 2, x // 2].max(axis=0) < 0.7).all()
    distance = np.hypot(
        np.maximum(np.maximum(10 - y // 2, y // 2 - 13), 0),
        np.maximum(np.maximum(10 - x // 2, x // 2 - 13), 0),
    )
    assert (distance > 0).all()
    assert (distance <= 3).all()
    assert not found[:, :6].any()
    np.testing.assert_allclose(decode(found)[:, changed].sum(axis=0), 1, atol=1e-5)


def test_without_a_prior_and_without_reach_nothing_changes(world: Any) -> None:
    mapped, known, stored = world
    for nothing in (Completion(None, 0.0, 0.0), Completion(tiny_masked(), 12.0, 0.0)):
        np.testing.assert_array_equal(joined(nothing.parts(mapped, known)), stored)


def test_an_edit_that_says_what_was_mapped_changes_nothing(world: Any) -> None:
    mapped, known, stored = world
    own = RunFolder(mapped.run)
    shutil.copyfile(own.corrected.probability(DRAWN), own.probability(STUDENT))
    found = joined(Completion(tiny_masked(), 12.0, 1.0).parts(mapped, known))
    np.testing.assert_array_equal(found, stored)


def test_the_prior_s_own_mix_of_classes_cancels(world: Any) -> None:
    """A prior of independent pixels knows nothing of neighbours, whatever its mix."""
    mapped, known, stored = world
    mixed = known_prior(independent(0.7, 0.1, 0.1, 0.05, 0.05))
    found = joined(Completion(mixed, 12.0, 1.0).parts(mapped, known))
    np.testing.assert_allclose(decode(found), decode(stored), atol=1e-4)


def test_fine_pixels_keep_what_tells_them_apart(world: Any) -> None:
    """All pixels of a working pixel get the same factors, so that their order stays."""
    mapped, known, stored = world
    found = joined(Completion(tiny_masked(), 12.0, 1.0).parts(mapped, known))
    changed = (found != stored).any(axis=0)
    before, after = (
        np.log(decode(v) + 1e-9)[1] - np.log(decode(v) + 1e-9)[3] for v in (stored, found)
    )
    cell = np.s_[28:30, 20:22]
    assert changed[cell].all()
    shift = (after - before)[cell]
    assert np.ptp(shift) < 0.05 * np.ptp(before[cell])


def test_windows_see_across_their_edges(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    mapped, known, _ = world
    whole = Completion(tiny_masked(), 12.0, 0.7)
    expected = joined(whole.parts(mapped, known))
    monkeypatch.setattr(completion, "BLOCK_PX", 12)
    found = joined(dataclasses.replace(whole).parts(mapped, known))
    np.testing.assert_array_equal(found, expected)
