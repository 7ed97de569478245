"""Stored probabilities: what is read is what was written, to half a step."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from landcover_pnp.storage.probabilities import PROBABILITY_ONE, decode, encode


@given(st.integers(0, 2**32 - 1))
def test_probabilities_come_back_to_half_a_step(seed: int) -> None:
    p = np.random.default_rng(seed).dirichlet(np.full(5, 0.3), (4, 6)).transpose(2, 0, 1)
    p = p.astype(np.float32)
    stored = encode(p)
    half_a_step = 0.5 / PROBABILITY_ONE
    np.testing.assert_allclose(stored / PROBABILITY_ONE, p, atol=half_a_step * 1.01)
    np.testing.assert_allclose(decode(stored), p, atol=4 * half_a_step)
    np.testing.assert_allclose(decode(stored).sum(axis=0), 1, rtol=1e-6)


def test_no_data_stays_no_data() -> None:
    assert not decode(encode(np.zeros((5, 2, 3), np.float32))).any()
