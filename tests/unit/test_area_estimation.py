"""Estimates from a stratified sample: the paper's worked example, and what holds for any."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from landcover_pnp.errors import RequestError
from landcover_pnp.evaluation.area_estimation import Z_95, estimate_areas
from landcover_pnp.products.sample_design import LEAST, allocate

EXAMPLE = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
"""Olofsson et al. 2014, table 8: deforestation, gain, stable forest, stable non-forest."""

EXAMPLE_PX = np.array([200_000, 150_000, 3_200_000, 6_450_000])
"""Pixels of these classes in the map, of 30 m."""

PIXELS = arrays(np.int64, 5, elements=st.integers(0, 500)).filter(lambda n: n.sum() >= 20)


def test_the_worked_example_of_the_paper() -> None:
    # Two widths of producer's accuracies are printed as .23 and .01; equation 7 gives .25 and .02
    # with all other numbers of the page, as other programs find too.
    found = estimate_areas(EXAMPLE, EXAMPLE_PX)
    assert found.overall.value == pytest.approx(0.947, abs=5e-4)
    assert found.overall.half_width == pytest.approx(0.02, abs=5e-3)
    for estimates, values, widths in (
        (found.users, (0.88, 0.73, 0.93, 0.96), (0.07, 0.10, 0.04, 0.02)),
        (found.producers, (0.75, 0.85, 0.93, 0.96), (0.21, 0.25, 0.03, 0.02)),
    ):
        assert [e.value for e in estimates] == pytest.approx(values, abs=5e-3)
        assert [e.half_width for e in estimates] == pytest.approx(widths, abs=5e-3)
    total_px, ha = EXAMPLE_PX.sum(), 0.09
    assert found.shares[0].value * total_px == pytest.approx(235_086, abs=1)
    assert found.shares[0].half_width * total_px == pytest.approx(68_418, abs=1)
    hectares = [share.value * total_px * ha for share in found.shares]
    assert hectares == pytest.approx([21_158, 11_686, 285_770, 581_386], abs=1)
    widths_ha = [share.half_width * total_px * ha for share in found.shares]
    assert widths_ha == pytest.approx([6_158, 3_756, 15_510, 16_282], rel=0.01)
    assert found.proportions.sum() == pytest.approx(1)


def population(pixels: np.ndarray, seed: int) -> np.ndarray:
    """(map class, reference class) pixels of a random ground under a map."""
    rng = np.random.default_rng(seed)
    rights = rng.dirichlet(np.ones(len(pixels)), len(pixels)) + 2 * np.eye(len(pixels))
    return np.stack([rng.multinomial(n, p / p.sum()) for n, p in zip(pixels, rights, strict=True)])


@given(PIXELS, st.integers(0, 99))
def test_a_sample_of_all_pixels_is_the_truth_without_an_interval(
    pixels: np.ndarray, seed: int
) -> None:
    ground = population(pixels, seed)
    found = estimate_areas(ground, pixels)
    assert found.overall.value == pytest.approx(np.trace(ground) / ground.sum())
    assert found.overall.standard_error == 0
    for share, n in zip(found.shares, ground.sum(axis=0), strict=True):
        assert share.value == pytest.approx(n / ground.sum())
        assert share.low == share.high == share.value


@given(PIXELS, st.integers(0, 99))
def test_intervals_hold_estimates_and_stay_possible(pixels: np.ndarray, seed: int) -> None:
    n = allocate(pixels, int(pixels.sum()) // 2)
    rng = np.random.default_rng(seed)
    counts = np.stack(
        [
            rng.multivariate_hypergeometric(row, k)
            for row, k in zip(population(pixels, seed), n, strict=True)
        ]
    )
    found = estimate_areas(counts, pixels)
    for estimate in (found.overall, *found.users, *found.producers, *found.shares):
        if np.isfinite(estimate.value):
            assert 0 <= estimate.low <= estimate.value + 1e-9
            assert estimate.value <= estimate.high + 1e-9 <= 1 + 2e-9
    for mapped, user in zip(pixels, found.users, strict=True):
        assert np.isfinite(user.value) == (mapped > 0)


def test_the_interval_holds_the_truth_in_19_of_20_samples() -> None:
    pixels = np.array([400, 30_000, 2_000, 40_000, 20_000])
    ground = population(pixels, 5)
    truth = np.trace(ground) / ground.sum()
    n, rng = allocate(pixels, 200), np.random.default_rng(0)
    hits = 0
    for _ in range(1000):
        counts = np.stack(
            [rng.multivariate_hypergeometric(row, k) for row, k in zip(ground, n, strict=True)]
        )
        overall = estimate_areas(counts, pixels).overall
        hits += overall.low <= truth <= overall.high
    assert 925 <= hits <= 975


@pytest.mark.parametrize("counts", [[[1, 0], [2, 3]], [[0, 0], [2, 3]], [[4, 8], [2, 3]]])
def test_too_few_or_too_many_points_of_a_class_are_refused(counts: list[list[int]]) -> None:
    with pytest.raises(RequestError, match="in class 1 of the map"):
        estimate_areas(np.array(counts), np.array([11, 50]))


@given(PIXELS, st.data())
def test_points_are_shared_out_by_area_with_a_minimum(
    pixels: np.ndarray, data: st.DataObject
) -> None:
    n = data.draw(st.integers(LEAST * 5, int(pixels.sum())))
    points = allocate(pixels, n)
    assert points.sum() == n
    assert (points <= pixels).all()
    assert (points >= np.minimum(pixels, LEAST)).all()
    least = np.minimum(pixels, max(LEAST, n // (2 * (pixels > 0).sum())))
    assert (points >= least).all()
    for i in range(5):
        for j in range(5):
            if pixels[i] > pixels[j]:  # a larger class never has fewer points
                assert points[i] >= points[j]
    free = (points > least) & (points < pixels)
    rates = points[free] / pixels[free]
    slack = (1 / pixels[free]).max(initial=0)
    assert free.sum() < 2 or rates.max() - rates.min() <= 2 * slack + 1e-9


def test_the_default_sample_of_a_city() -> None:
    points = allocate(np.array([800, 36_000, 3_000, 41_000, 20_000]), 200)
    assert points.tolist() == [20, 59, 20, 68, 33]
    assert Z_95 == 1.96


@pytest.mark.parametrize(
    ("n", "per_class", "says"),
    [(9, 2, "at least 10 points"), (200, 50, "at least 250 points"), (10**7, None, "fewer points")],
)
def test_samples_that_cannot_be_are_refused(n: int, per_class: int | None, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        allocate(np.array([800, 36_000, 3_000, 41_000, 20_000]), n, per_class)
