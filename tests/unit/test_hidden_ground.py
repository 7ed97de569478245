"""What a prior is shown of a map with unsure pixels, and what becomes of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from masked_priors import independent, known
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from torch import Tensor

from landcover_pnp.arrays import normalise
from landcover_pnp.errors import SettingsError
from landcover_pnp.grid import Box
from landcover_pnp.inference.engine import infer
from landcover_pnp.inference.filling import FillSettings
from landcover_pnp.inference.observations import Observations
from landcover_pnp.inference.settings import InferenceSettings
from landcover_pnp.pipeline.fill_grid import FillGrid
from landcover_pnp.pipeline.hidden_ground import LEAST, Shown, asked, completed, unsure
from landcover_pnp.pipeline.transfer.cities import require_sensible
from landcover_pnp.pipeline.transfer.settings import TransferCity, TransferSettings
from landcover_pnp.storage.probabilities import decode, encode

PIXELS_M = (0.3, 1.0, 1.36, 4.0, 8.0, 24.0)


def map_of(pixel_m: float, seed: int) -> tuple[FillGrid, Box, Box, NDArray[np.float32]]:
    """The pixels of a map and a prior of 4 m, all of them, and probabilities with a gap."""
    side = max(3, round(40 / pixel_m))
    rng = np.random.default_rng(seed)
    p = normalise(rng.dirichlet(np.full(5, 0.4), (side, side)).transpose(2, 0, 1))
    p[:, : side // 4, 0] = 0
    bounds = (0, 0, side * pixel_m, side * pixel_m)
    geobox = GeoBox.from_bbox(bounds, "EPSG:26917", shape=(side, side))
    pixels = FillGrid.of(geobox, (pixel_m, pixel_m), 4.0)
    working = Box(0, pixels.rows.working_size, 0, pixels.columns.working_size)
    return pixels, working, Box(0, side, 0, side), p.astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(
    pixel_m=st.sampled_from(PIXELS_M),
    below=st.floats(0.3, 0.9),
    weight=st.sampled_from([0.0, 0.7, 1.0, 4.0]),
    seed=st.integers(0, 999),
)
def test_what_is_filled_comes_from_the_prior_and_the_pixel_itself(
    pixel_m: float, below: float, weight: float, seed: int
) -> None:
    """By a prior whose pixels know nothing of each other the posterior is known at every size."""
    pixels, working, fine, p = map_of(pixel_m, seed)
    hidden = unsure(p, below)
    shown = Shown.of(pixels, [(fine, p, hidden)], working)
    assert not (shown.hidden & (shown.codes > 0)).any()
    np.testing.assert_allclose(shown.evidence.sum(axis=0)[shown.hidden], 1, atol=1e-5)
    shares = (0.1, 0.2, 0.3, 0.25, 0.15)
    by = FillSettings(steps=1, evidence_weight=weight, share_weight=0.0)
    message = asked(known(independent(*shares)), shown, by, 0, (0, 0))
    expected = np.array(shares)[:, None]
    if shown.hidden.any():
        every = np.broadcast_to(expected, message[:, shown.hidden].shape)
        np.testing.assert_allclose(message[:, shown.hidden], every, rtol=2e-3)
    told = np.broadcast_to(np.array(shares, np.float32)[:, None, None], p.shape)
    q = completed(p, told, hidden, weight)
    np.testing.assert_array_equal(q[:, ~hidden], p[:, ~hidden])
    wanted = normalise(expected * np.maximum(p[:, hidden], 1e-9) ** weight)
    np.testing.assert_allclose(q[:, hidden], wanted, rtol=1e-3, atol=1e-6)


def halves(codes: Tensor) -> Tensor:
    """Conditionals of water in the left half and impervious ground in the right one."""
    p = torch.full((len(codes), 5, *codes.shape[1:]), 0.02)
    left = torch.arange(codes.shape[2]) < codes.shape[2] // 2
    p[:, 0], p[:, 1] = torch.where(left, 0.85, 0.09), torch.where(left, 0.09, 0.85)
    return p


@pytest.mark.parametrize("weight", [0.7, 1.0, 2.0, 4.0, 10.0])
@pytest.mark.parametrize("rare", [0.0, 1e-4, 1e-3, 1e-2])
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_what_the_prior_says_is_heard_beside_classes_of_which_the_map_is_sure(
    share: float, rare: float, weight: float
) -> None:
    """Undecided between two classes, and almost sure that it is none of three, as maps are."""
    hidden = np.pad(np.ones((8, 8), np.bool_), 2)
    codes = np.where(hidden, 0, 2).astype(np.uint8)
    evidence = np.where(hidden, np.array([*[0.5 - 1.5 * rare] * 2, *[rare] * 3])[:, None, None], 0)
    shown = Shown(codes, hidden, evidence.astype(np.float32))
    by = FillSettings(steps=1, evidence_weight=weight, share_weight=share)
    message = asked(known(halves, 12), shown, by, 0, (0, 0))
    q = completed(shown.evidence, decode(encode(message)), hidden, weight)
    assert np.isfinite(q).all()
    assert (q[0, 2:-2, 2:6] > 0.85).all()
    assert (q[0, 2:-2, 6:-2] < 0.15).all()


def test_evidence_is_that_of_hidden_pixels_alone() -> None:
    pixels, working, fine, p = map_of(1.0, 0)
    p[:] = np.array([0.0, 1, 0, 0, 0], np.float32)[:, None, None]
    own = np.array([0.3, 0.1, 0.4, 0.1, 0.1], np.float32)
    p[:, :4, :3] = own[:, None, None]  # three quarters of the first pixel of the prior
    hidden = unsure(p, 0.5)
    assert hidden.sum() == 12
    shown = Shown.of(pixels, [(fine, p, hidden)], working)
    np.testing.assert_allclose(shown.evidence[:, 0, 0], own, atol=1e-6)
    assert shown.hidden[0, 0]
    assert shown.hidden.sum() == 1
    assert shown.codes[0, 1] == 2


def test_parts_of_a_window_give_what_the_whole_gives() -> None:
    pixels, working, fine, p = map_of(1.36, 3)
    hidden = unsure(p, 0.6)
    whole = Shown.of(pixels, [(fine, p, hidden)], working)
    halves = [Box(0, 11, 0, fine.x1), Box(11, fine.y1, 0, fine.x1)]
    parts = Shown.of(pixels, [(b, p[:, b.y0 : b.y1], hidden[b.y0 : b.y1]) for b in halves], working)
    np.testing.assert_array_equal(whole.codes, parts.codes)
    np.testing.assert_array_equal(whole.hidden, parts.hidden)
    np.testing.assert_allclose(whole.evidence, parts.evidence, atol=1e-6)


def test_no_class_becomes_impossible_by_the_prior() -> None:
    p = np.full((5, 1, 1), 0.2, np.float32)
    message = np.zeros((5, 1, 1), np.float32)
    message[1] = 1
    q = completed(p, message, np.ones((1, 1), np.bool_), 1.0)
    assert q.min() >= LEAST / 2
    assert unsure(np.zeros((5, 2, 2), np.float32), 1.0).sum() == 0  # no data is not unsure


def test_a_canvas_by_itself_hides_nothing() -> None:
    flat = np.full((5, 4, 4), 0.2, np.float32)
    o = Observations(flat, flat, np.ones((4, 4), np.bool_), (0, 0))
    with pytest.raises(SettingsError, match="hide_below"):
        infer(o, InferenceSettings(hide_below=0.6), None, 0)


def test_a_transfer_hides_nothing() -> None:
    inference = InferenceSettings(hide_below=0.6)
    plan = TransferSettings(TransferCity("a"), [TransferCity("b")], inference=inference)
    with pytest.raises(SettingsError, match="hide_below"):
        require_sensible(plan)
