import numpy as np
import pytest

from landcover_pnp.errors import RequestError
from landcover_pnp.evaluation.cell_scores import cell_confusion
from landcover_pnp.evaluation.intervals import bootstrap, over_seeds, paired_differences
from landcover_pnp.evaluation.scores import Scores, score

PIXELS = 100


def accuracy(scores: Scores) -> dict[str, float]:
    return {"accuracy": scores.accuracy}


def cells(rates: np.ndarray, rng: np.random.Generator, pixels: int = PIXELS) -> Scores:
    """Cells of one class that are right with a rate of their own: neighbours err together."""
    right = rng.binomial(pixels, rates)
    confusion = np.zeros((len(rates), 6, 6), np.int64)
    confusion[:, 2, 2], confusion[:, 2, 5] = right, pixels - right
    return Scores(confusion, "five_classes")


def simulated(rng: np.random.Generator, count: int = 60) -> Scores:
    return cells(rng.beta(2, 1, count), rng)  # mean 2/3, and cells differ much


def coverage(spread_out: bool, trials: int) -> float:
    """How often the interval holds the known accuracy of 2/3; the cells cut up, or as they are."""
    held = 0
    for seed in range(trials):
        drawn = simulated(np.random.default_rng(seed))
        if spread_out:  # as if every pixel were a cell of its own: what pixels would promise
            right = int(drawn.confusion[:, 2, 2].sum())
            rates = (np.arange(60 * PIXELS) < right).astype(float)
            drawn = cells(rates, np.random.default_rng(0), pixels=1)
        low, high = bootstrap(accuracy, drawn, seed, draws=150)["accuracy"][1:]
        held += low <= 2 / 3 <= high
    return held / trials


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    assert 0.90 <= coverage(spread_out=False, trials=200) <= 0.99


def test_pixels_in_the_place_of_cells_would_promise_too_much() -> None:
    assert coverage(spread_out=True, trials=15) < 0.6


def test_an_interval_of_a_difference_knows_that_cells_are_shared() -> None:
    rng = np.random.default_rng(0)
    rates = rng.beta(2, 2, 60)
    worse, better = (cells(np.clip(rates + gain, 0, 1), rng) for gain in (0, 0.05))
    alone = bootstrap(accuracy, better, 1)["accuracy"]
    gain = paired_differences(accuracy, better, worse, 1)["accuracy"]
    assert 0 < gain.low < gain.value < gain.high
    assert gain.high - gain.low < (alone.high - alone.low) / 2
    same = paired_differences(accuracy, worse, worse, 1)["accuracy"]
    assert same == (0, 0, 0)


def test_the_same_seed_gives_the_same_interval() -> None:
    drawn = simulated(np.random.default_rng(3))
    assert bootstrap(accuracy, drawn, 5) == bootstrap(accuracy, drawn, 5)


def test_absent_classes_stay_absent() -> None:
    drawn = simulated(np.random.default_rng(0))
    interval = bootstrap(lambda scores: {"soil": float(scores.iou[2])}, drawn, 0)["soil"]
    assert all(np.isnan(interval))


def test_methods_scored_on_different_truth_are_not_compared() -> None:
    one, other = (simulated(np.random.default_rng(0), count) for count in (20, 20))
    other.confusion[3, 2, 2] += 1
    with pytest.raises(ValueError, match="cell by cell"):
        paired_differences(accuracy, one, other, 0)


def test_one_cell_has_no_interval() -> None:
    with pytest.raises(RequestError, match="at least two"):
        bootstrap(accuracy, simulated(np.random.default_rng(0), 1), 0)


def test_an_interval_over_seeds_needs_two_seeds() -> None:
    with pytest.raises(RequestError, match="two seeds"):
        over_seeds(np.array([0.7]))
    interval = over_seeds(np.array([0.6, 0.8]))
    assert interval.value == pytest.approx(0.7)
    assert interval.high - 0.7 == pytest.approx(12.706 * np.sqrt(0.02 / 2), rel=1e-3)  # t of 1


def test_cells_add_up_to_the_whole() -> None:
    rng = np.random.default_rng(0)
    predicted, truth = rng.integers(0, 6, (2, 40, 50))
    numbers = (np.arange(40) // 7)[:, None] * 8 + np.arange(50) // 7
    confusion = cell_confusion(predicted, truth, numbers, int(numbers.max()) + 1)
    whole = score(predicted, truth, "five_classes").confusion
    np.testing.assert_array_equal(confusion.sum(axis=0), whole)


def test_predictions_on_ignored_truth_count_in_the_intervals_as_published() -> None:
    known = cells(np.full(60, 0.9), np.random.default_rng(0))
    ignored = np.zeros((20, 6, 6), np.int64)
    ignored[:, 0, 2] = PIXELS  # cells of other truth, mapped as impervious
    drawn = Scores(np.concatenate([known.confusion, ignored]), "published")
    value, low, high = bootstrap(lambda scores: {"iou": float(scores.iou[1])}, drawn, 0)["iou"]
    assert low < value < high
    without = bootstrap(lambda s: {"iou": float(s.iou[1])}, Scores(known.confusion, "published"), 0)
    assert high < without["iou"].low
