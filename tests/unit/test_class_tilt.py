"""Probabilities tilted to given class shares."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from landcover_pnp.inference.class_tilt import tilt_to, tilted

seeds = st.integers(0, 10_000)


def some_map(seed: int, sharpness: float = 2.0) -> np.ndarray:
    logits = sharpness * np.random.default_rng(seed).standard_normal((5, 12, 12))
    p = np.exp(logits)
    return (p / p.sum(axis=0)).astype(np.float32)


@given(seeds)
def test_the_mean_becomes_what_is_wanted(seed: int) -> None:
    p = some_map(seed)
    wanted = np.random.default_rng(seed + 1).dirichlet(np.full(5, 3.0))
    tilt = tilt_to(p.reshape(5, -1), wanted)
    np.testing.assert_allclose(tilted(p, tilt).mean(axis=(1, 2)), wanted, atol=2e-3)


@given(seeds)
def test_odds_change_by_the_same_factor_everywhere(seed: int) -> None:
    p = some_map(seed, 1.0)
    tilt = np.array([0.5, -1.0, 0.0, 2.0, 0.25])
    q = tilted(p, tilt)
    np.testing.assert_allclose(q.sum(axis=0), 1, rtol=1e-5)
    odds = np.log(q[0] / q[1]) - np.log(p[0] / p[1])
    np.testing.assert_allclose(odds, 1.5, atol=1e-3)


def test_a_class_that_is_nowhere_wanted_goes() -> None:
    p = some_map(3)
    wanted = np.array([0.0, 0.4, 0.3, 0.2, 0.1])
    q = tilted(p, tilt_to(p.reshape(5, -1), wanted))
    assert q[0].mean() < 1e-4
    np.testing.assert_allclose(q.mean(axis=(1, 2)), wanted, atol=2e-3)


def test_where_there_is_no_data_there_is_none() -> None:
    p = some_map(4)
    p[:, :3] = 0
    q = tilted(p, np.array([1.0, 0, 0, 0, 0]))
    assert (q[:, :3] == 0).all()
    assert (q[:, 3:].sum(axis=0) > 0.99).all()
