"""Filling by priors whose exact conditionals are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from landcover_pnp.errors import FillError, GridError, SettingsError, TileError
from landcover_pnp.inference.filling import FillSettings, draw, fill

torch.set_num_threads(1)

ONE = FillSettings(steps=1, evidence_weight=1.0)
SHARES = np.array([0.05, 0.4, 0.1, 0.3, 0.15], np.float32)


@dataclass(frozen=True)
class Frequencies:
    """A prior of pixels that are independent: the shares of the classes, whatever is around."""

    device: ClassVar[torch.device] = torch.device("cpu")

    def predict_classes(self, codes: Tensor) -> Tensor:
        shares = torch.from_numpy(SHARES)[:, None, None]
        return shares.expand(len(codes), 5, *codes.shape[1:]).clone()


@dataclass(frozen=True)
class Chain:
    """A prior of rows that are Markov chains: a class stays with ``stay``, the others share."""

    stay: float = 0.7
    device: ClassVar[torch.device] = torch.device("cpu")

    @property
    def matrix(self) -> NDArray[np.float64]:
        rest = (1 - self.stay) / 4
        return np.full((5, 5), rest) + np.eye(5) * (self.stay - rest)

    def predict_classes(self, codes: Tensor) -> Tensor:
        """p(class | the nearest known pixels of the row on either side), exactly."""
        step = torch.from_numpy(self.matrix)
        forwards = self._reached(codes, step)
        backwards = self._reached(codes.flip(-1), step.T).flip(-1)
        p = forwards * backwards
        return (p / p.sum(1, keepdim=True)).float()

    def _reached(self, codes: Tensor, step: Tensor) -> Tensor:
        p = torch.full((len(codes), 5, *codes.shape[1:]), 1.0, dtype=torch.float64)
        for x in range(1, codes.shape[-1]):
            before = codes[..., x - 1]
            known = torch.nn.functional.one_hot((before - 1).clamp_min(0), 5).double()
            source = torch.where(before[..., None] > 0, known, p[..., x - 1].movedim(1, -1))
            p[..., x] = (source @ step).movedim(-1, 1)
        return p


class Broken(Frequencies):
    """A prior whose network has diverged."""

    def predict_classes(self, codes: Tensor) -> Tensor:
        return super().predict_classes(codes) * torch.nan


def a_map(seed: int = 0, shape: tuple[int, int] = (20, 30)) -> NDArray[np.uint8]:
    random = np.random.default_rng(seed)
    codes: NDArray[np.uint8] = random.integers(0, 6, shape).astype(np.uint8)
    return codes


def some(seed: int = 1, share: float = 0.3, shape: tuple[int, int] = (20, 30)) -> NDArray[np.bool_]:
    return np.asarray(np.random.default_rng(seed).random(shape) < share)


def evidence_of(seed: int = 2, shape: tuple[int, int] = (20, 30)) -> NDArray[np.float32]:
    p = np.random.default_rng(seed).dirichlet(np.ones(5), shape)
    return p.transpose(2, 0, 1).astype(np.float32)


@given(st.integers(0, 2**31), st.floats(0, 1), st.integers(1, 5), st.sampled_from([8, 16, 64]))
@examples(max_examples=25, deadline=None)
def test_known_pixels_are_held_and_no_data_stays(
    seed: int, share: float, steps: int, view_px: int
) -> None:
    codes, hidden = a_map(seed), some(seed, share)
    how = FillSettings(steps=steps, draw_steps=steps)
    p = fill(Chain(), codes, hidden, evidence_of(seed), how, seed, (-3, 7), view_px=view_px)
    assert p.dtype == np.float32
    one_hot = np.equal(codes, np.arange(1, 6)[:, None, None])
    np.testing.assert_array_equal(p[:, ~hidden], one_hot[:, ~hidden])
    np.testing.assert_allclose(p[:, hidden].sum(axis=0), 1, atol=1e-5)
    drawn = draw(Chain(), codes, hidden, evidence_of(seed), how, seed, (-3, 7), view_px=view_px)
    np.testing.assert_array_equal(drawn[~hidden], codes[~hidden])
    assert (drawn[hidden] > 0).all()


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0, 2.0])
def test_prior_and_evidence_multiply(weight: float) -> None:
    codes, hidden, evidence = a_map(), some(), evidence_of()
    p = fill(
        Frequencies(), codes, hidden, evidence, replace(ONE, evidence_weight=weight), 0, (0, 0)
    )
    expected = SHARES[:, None, None] * evidence**weight
    expected /= expected.sum(axis=0)
    np.testing.assert_allclose(p[:, hidden], expected[:, hidden], rtol=2e-4, atol=1e-6)


def test_certain_evidence_decides_and_none_says_nothing() -> None:
    codes, hidden, sure = a_map(), some(), a_map(5).clip(1)
    evidence = np.equal(sure, np.arange(1, 6)[:, None, None]).astype(np.float32)
    evidence[:, :10] = 0
    p = fill(Frequencies(), codes, hidden, evidence, ONE, 0, (0, 0))
    silent, told = hidden.copy(), hidden.copy()
    silent[10:], told[:10] = False, False
    np.testing.assert_array_equal(p.argmax(axis=0)[told] + 1, sure[told])
    np.testing.assert_allclose(p[:, silent], np.repeat(SHARES[:, None], silent.sum(), 1), rtol=1e-5)


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1.0])
def test_evidence_of_any_scale_counts_to_the_largest_power(scale: float) -> None:
    codes, hidden, p = a_map(), some(), evidence_of()
    how = replace(ONE, evidence_weight=10.0)
    found = fill(Frequencies(), codes, hidden, np.float32(scale) * p, how, 0, (0, 0))
    expected = SHARES[:, None, None] * (p.astype(np.float64) ** 10 if scale else np.ones_like(p))
    expected /= expected.sum(axis=0)
    np.testing.assert_allclose(found[:, hidden], expected[:, hidden], rtol=1e-3, atol=1e-6)


def test_one_pass_gives_the_exact_conditional_of_a_chain() -> None:
    codes = np.array([[2, 0, 0, 0, 5, 5, 4]], np.uint8)
    hidden = codes == 0
    p = fill(Chain(), codes, hidden, None, ONE, 0, (0, 0))
    t = Chain().matrix
    for at in (1, 2, 3):
        exact = np.linalg.matrix_power(t, at)[1] * np.linalg.matrix_power(t, 4 - at)[:, 4]
        np.testing.assert_allclose(p[:, 0, at], exact / exact.sum(), rtol=1e-5)


def test_what_is_sure_is_revealed_first_and_seen_by_the_rest() -> None:
    codes = np.array([[2, 0, 0, 0]], np.uint8)
    chain, t = Chain(0.7), Chain(0.7).matrix
    how = FillSettings(steps=3, confident=0.69)  # asks for .69, .345 and 0
    p = fill(chain, codes, codes == 0, None, how, 0, (0, 0))
    np.testing.assert_allclose(p[:, 0, 1], t[1], rtol=1e-5)  # .7: at once
    np.testing.assert_allclose(p[:, 0, 2], t[1], rtol=1e-5)  # given that pixel 1 is class 2
    np.testing.assert_allclose(p[:, 0, 3], (t @ t)[1], rtol=1e-5)  # .505 in the second pass


def test_draws_have_the_joint_distribution_of_the_chain() -> None:
    """Both classes of two hidden pixels between two known ones, as often as they should be."""
    codes = np.tile(np.array([[2, 0, 0, 4]], np.uint8), (12000, 1))
    t, how = Chain().matrix, FillSettings(draw_steps=40)
    drawn = draw(Chain(), codes, codes == 0, None, how, 3, (0, 0), view_px=12000)
    found = np.zeros((5, 5))
    np.add.at(found, (drawn[:, 1] - 1, drawn[:, 2] - 1), 1 / len(drawn))
    exact = t[1][:, None] * t * t[:, 3][None]
    np.testing.assert_allclose(found, exact / exact.sum(), atol=0.02)


def test_draws_belong_to_the_ground() -> None:
    codes, hidden = np.zeros((40, 40), np.uint8), np.ones((40, 40), np.bool_)
    codes[:, ::7], hidden[:, ::7] = 2, False
    how = FillSettings(draw_steps=5)
    whole = draw(Frequencies(), codes, hidden, None, how, 0, (100, -20))
    part = draw(Frequencies(), codes[9:, 7:], hidden[9:, 7:], None, how, 0, (109, -13))
    np.testing.assert_array_equal(whole[9:, 7:], part)
    other = draw(Frequencies(), codes, hidden, None, how, 1, (100, -20))
    assert (other != whole)[hidden].mean() > 0.5


def test_hidden_pixels_get_the_shares_of_the_weak_labels() -> None:
    codes, hidden = np.full((30, 30), 4, np.uint8), np.zeros((30, 30), np.bool_)
    hidden[5:25, 5:25] = True
    weak = np.zeros((5, 30, 30), np.float32)
    weak[[1, 4]] = np.array([0.75, 0.25], np.float32)[:, None, None]
    how = replace(ONE, share_weight=1.0, share_radius_px=30)
    p = fill(Frequencies(), codes, hidden, None, how, 0, (0, 0), weak_labels=weak)
    np.testing.assert_allclose(p[:, hidden].mean(axis=1), [0, 0.75, 0, 0, 0.25], atol=1e-3)
    silent = fill(Frequencies(), codes, hidden, None, how, 0, (0, 0), weak_labels=weak * 0)
    np.testing.assert_allclose(silent[:, 10, 10], SHARES, rtol=1e-5)


def test_nothing_hidden_returns_the_map() -> None:
    codes, nothing = a_map(), np.zeros((20, 30), np.bool_)
    p = fill(Broken(), codes, nothing, None, ONE, 0, (0, 0))
    np.testing.assert_array_equal(p, np.equal(codes, np.arange(1, 6)[:, None, None]))
    np.testing.assert_array_equal(draw(Broken(), codes, nothing, None, ONE, 0, (0, 0)), codes)


def test_a_map_that_is_all_hidden_is_refused_without_evidence() -> None:
    codes, hidden = a_map(), np.ones((20, 30), np.bool_)
    for work in (fill, draw):
        with pytest.raises(FillError, match="nothing to hold on to"):
            work(Frequencies(), codes, hidden, None, ONE, 0, (0, 0))
        with pytest.raises(FillError, match="nothing to hold on to"):  # the rest is no data
            work(Frequencies(), codes * 0, some(), None, ONE, 0, (0, 0))
    p = fill(Frequencies(), codes, hidden, evidence_of(), ONE, 0, (0, 0))
    np.testing.assert_allclose(p.sum(axis=0), 1, atol=1e-5)


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1])
@pytest.mark.parametrize("layer", ["evidence", "weak_labels"])
def test_values_that_are_no_probabilities_are_refused(value: float, layer: str) -> None:
    codes, hidden, spoilt = a_map(), some(), evidence_of()
    y, x = np.argwhere(hidden)[7]
    spoilt[2, y, x] = value
    given = {"evidence": None, layer: spoilt}
    with pytest.raises(FillError, match="at 1 hidden pixels"):
        fill(Frequencies(), codes, hidden, settings=ONE, seed=0, origin=(0, 0), **given)
    spoilt[2, y, x], (y, x) = 0, np.argwhere(~hidden)[7]
    spoilt[:, y, x] = value  # of known pixels it does not matter
    fill(Frequencies(), codes, hidden, settings=ONE, seed=0, origin=(0, 0), **given)


def test_a_network_that_has_diverged_is_refused() -> None:
    for work in (fill, draw):
        with pytest.raises(TileError, match="revealed"):
            work(Broken(), a_map(), some(), None, ONE, 0, (0, 0))


def test_arrays_of_different_canvases_and_unknown_codes_are_refused() -> None:
    codes, hidden = a_map(), some()
    with pytest.raises(GridError, match=r"\(20, 29\)"):
        fill(Frequencies(), codes[:, 1:], hidden, None, ONE, 0, (0, 0))
    with pytest.raises(GridError, match="evidence"):
        fill(Frequencies(), codes, hidden, evidence_of()[1:], ONE, 0, (0, 0))
    with pytest.raises(FillError, match="class code 6"):
        fill(Frequencies(), codes + np.uint8(1), hidden, None, ONE, 0, (0, 0))


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"confident": 1.1}, {"evidence_weight": -1.0}, {"repaint_samples": 0}]
)
def test_settings_that_fill_nothing_are_refused(wrong: dict[str, float]) -> None:
    how = FillSettings(**wrong)  # type: ignore[arg-type]
    for work in (fill, draw):
        with pytest.raises(SettingsError, match=next(iter(wrong))):
            work(Frequencies(), a_map(), some(), None, how, 0, (0, 0))


@pytest.mark.parametrize("method", [fill, draw])
def test_what_stands_at_hidden_pixels_does_not_matter(method: Callable[..., Any]) -> None:
    codes, hidden = a_map(), some()
    other = np.where(hidden, 5 - codes % 5, codes).astype(np.uint8)
    assert (codes[hidden] != other[hidden]).any()
    for prior in (Chain(), Frequencies()):
        found, again = (method(prior, c, hidden, None, ONE, 0, (0, 0)) for c in (codes, other))
        np.testing.assert_array_equal(found, again)
