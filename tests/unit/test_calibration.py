import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landcover_pnp.evaluation.calibration import fit_temperature, reliability, tempered


def drawn(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, and labels drawn from them: perfectly calibrated."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(5, 0.5), count).T.astype(np.float32)
    labels = (rng.random(count) > np.cumsum(p, axis=0)).sum(axis=0).clip(max=4) + 1
    return p, labels


def test_calibrated_probabilities_have_no_error() -> None:
    assert reliability(*drawn(100_000)).error < 0.01


def test_certainty_that_is_half_wrong_has_an_error_of_a_half() -> None:
    p = np.zeros((5, 100))
    p[1] = 1
    assert reliability(p, np.repeat([2, 3], 50)).error == pytest.approx(0.5)


def test_windows_add_up() -> None:
    p, labels = drawn(1000)
    parts = reliability(p[:, :300], labels[:300]) + reliability(p[:, 300:], labels[300:])
    assert parts.error == pytest.approx(reliability(p, labels).error)


def test_no_data_does_not_count() -> None:
    p, labels = drawn(100)
    before = reliability(p, labels)
    p, labels = np.pad(p, ((0, 0), (0, 50))), np.pad(labels, (0, 50), constant_values=3)
    assert reliability(p, labels).error == before.error
    assert np.isnan(reliability(p, np.zeros_like(labels)).error)
    assert not tempered(p, 2.0)[:, 100:].any()


@given(st.floats(0.2, 5))
def test_temperature_never_changes_the_class(temperature: float) -> None:
    p = drawn(200)[0]
    q = tempered(p, temperature)
    np.testing.assert_allclose(q.sum(axis=0), 1, atol=1e-5)
    best = np.sort(p, axis=0)
    clear = best[-1] - best[-2] > 1e-4
    np.testing.assert_array_equal(q.argmax(axis=0)[clear], p.argmax(axis=0)[clear])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_is_found_again(temperature: float) -> None:
    p, labels = drawn(50_000)
    distorted = tempered(np.maximum(p, 1e-4), 1 / temperature)  # too sure by this factor
    assert fit_temperature(distorted, labels) == pytest.approx(temperature, rel=0.1)


def test_without_truth_the_temperature_is_one() -> None:
    assert fit_temperature(drawn(10)[0], np.zeros(10, int)) == 1
