"""Maps drawn from a masked prior and a map's probabilities, with priors whose answer is known."""

import numpy as np
import pytest
from masked_priors import in_pairs, independent, known

from landcover_pnp.inference.filling import FillSettings
from landcover_pnp.inference.posterior_samples import posterior_samples, sample_seed

FULL = FillSettings(evidence_weight=1.0, draw_steps=4)
ORDERED = FillSettings(evidence_weight=0.0, draw_steps=40)


def uniform(shares: list[float], side: int = 32) -> np.ndarray:
    return np.tile(np.array(shares, np.float32)[:, None, None], (1, side, side))


def test_class_frequencies_do_not_count_twice() -> None:
    """A prior that only knows frequencies adds nothing to probabilities that hold some already."""
    prior = known(independent(0.6, 0.1, 0.1, 0.1, 0.1))
    p = uniform([0.2, 0.3, 0.1, 0.15, 0.25])
    maps = list(posterior_samples(prior, p, np.zeros((6, 5)), FULL, 0, (0, 0)))
    found = np.bincount(np.concatenate([m.ravel() for m in maps]), minlength=6)[1:] / 6144
    np.testing.assert_allclose(found, p[:, 0, 0], atol=0.02)


def test_a_tilt_moves_all_pixels_of_its_sample() -> None:
    prior = known(independent(0.2, 0.2, 0.2, 0.2, 0.2))
    tilts = np.array([[0.0] * 5, [3.0, 0, 0, 0, 0]])
    plain, more = posterior_samples(prior, uniform([0.2] * 5), tilts, FULL, 0, (0, 0))
    assert (plain == 1).mean() == pytest.approx(0.2, abs=0.05)
    assert (more == 1).mean() == pytest.approx(np.exp(3) / (np.exp(3) + 4), abs=0.05)


def test_neighbours_vary_together_as_the_prior_knows() -> None:
    prior = known(in_pairs(0.5, 0.95))
    drawn = np.stack(
        list(posterior_samples(prior, uniform([0.5, 0.5, 0, 0, 0]), np.zeros((8, 5)), ORDERED, 1,
                               (0, 0)))
    )  # fmt: skip
    left, right = drawn[..., ::2], drawn[..., 1::2]
    assert (left == right).mean() > 0.85  # alone it would be a half
    assert (drawn[..., 1:-1:2] == drawn[..., 2::2]).mean() == pytest.approx(0.5, abs=0.05)


def test_where_there_is_no_data_none_is_drawn() -> None:
    p = uniform([0.2] * 5)
    p[:, :, 20:] = 0
    (labels,) = posterior_samples(
        known(independent(*[0.2] * 5)), p, np.zeros((1, 5)), FULL, 0, (0, 0)
    )
    assert ((labels > 0) == p.any(axis=0)).all()


def test_samples_belong_to_the_ground() -> None:
    """Two windows draw the same where they overlap and the prior sees the same."""
    prior, tilts = known(independent(*[0.2] * 5)), np.zeros((2, 5))
    p = uniform([0.1, 0.2, 0.3, 0.2, 0.2])
    here = list(posterior_samples(prior, p, tilts, FULL, 5, (100, 40)))
    there = list(posterior_samples(prior, p, tilts, FULL, 5, (110, 50)))
    for a, b in zip(here, there, strict=True):
        np.testing.assert_array_equal(a[10:, 10:], b[:-10, :-10])
    assert (here[0] != here[1]).mean() > 0.5
    other = next(posterior_samples(prior, p, tilts, FULL, 6, (100, 40)))
    assert (here[0] != other).mean() > 0.5
    assert len({sample_seed(seed, n) for seed in range(30) for n in range(30)}) == 900
