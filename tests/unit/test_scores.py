from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from inputs import UTM, two_halves, write_tif
from sklearn.metrics import accuracy_score, f1_score, jaccard_score

from landcover_pnp.errors import GridError, LegendError, RasterError
from landcover_pnp.evaluation.scores import evaluate_map, score, short_table, table
from landcover_pnp.legend import ENVIROATLAS, WORKING

LABELS = arrays(np.uint8, (6, 7), elements=st.integers(1, 5))


@given(LABELS, LABELS)
def test_measures_agree_with_scikit_learn(predicted: np.ndarray, truth: np.ndarray) -> None:
    scores = score(predicted, truth, "five_classes")
    y, p = truth.ravel(), predicted.ravel()
    present = np.isin(WORKING.codes, y)
    assert scores.accuracy == pytest.approx(accuracy_score(y, p))
    for measured, oracle in ((scores.iou, jaccard_score), (scores.f1, f1_score)):
        expected = oracle(y, p, labels=WORKING.codes, average=None, zero_division=0)
        np.testing.assert_allclose(measured[present], expected[present])
        assert np.isnan(measured[~present]).all()
    assert scores.mean_iou == pytest.approx(scores.iou[present].mean())


@given(LABELS, LABELS, LABELS, LABELS)
def test_pooling_is_scoring_at_once(
    a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray
) -> None:
    parts = score(a, b, "published") + score(c, d, "published")
    whole = score(np.stack([a, c]), np.stack([b, d]), "published")
    np.testing.assert_array_equal(parts.confusion, whole.confusion)


def test_predictions_on_other_truth_count_in_published_unions_only() -> None:
    truth = np.array([[1, 1, 2, 0, 0]])
    predicted = np.array([[1, 1, 2, 2, 2]])
    published, five = (score(predicted, truth, p) for p in ("published", "five_classes"))
    assert published.accuracy == five.accuracy == 1
    assert five.iou[1] == 1
    assert published.iou[1] == pytest.approx(1 / 3)


def test_absent_classes_are_absent_not_zero() -> None:
    scores = score(np.array([[1, 3]]), np.array([[1, 1]]), "five_classes")
    assert scores.iou[0] == 0.5
    assert np.isnan(scores.iou[2])
    assert scores.mean_iou == 0.5
    assert "absent" in table({"map": scores})
    assert "| map | 0.500 | 0.500 |" in short_table({"map": scores})


def test_truth_without_a_map_is_counted_apart() -> None:
    scores = score(np.array([[0, 1, 1, 1]]), np.array([[1, 1, 1, 1]]), "five_classes")
    assert scores.unmapped == 0.25
    assert scores.accuracy == 1


def test_a_map_is_scored_at_the_resolution_of_the_truth(tmp_path: Path) -> None:
    coarse = write_tif(tmp_path / "map.tif", two_halves(4, 2, 60), 4.0, nodata=0)
    truth = two_halves(40, 20, 240)
    truth[0, :10] = 70
    fine = write_tif(tmp_path / "truth.tif", truth)
    scores = evaluate_map(coarse, fine, ENVIROATLAS, "five_classes")
    assert scores.pixels == 240 * 240
    assert scores.accuracy == pytest.approx(1 - 10 / 240**2)


def test_declared_no_data_of_the_truth_is_no_truth(tmp_path: Path) -> None:
    labels = write_tif(tmp_path / "map.tif", two_halves(4, 2), nodata=0)
    truth = two_halves(40, 20)
    truth[:60] = 255
    declared = write_tif(tmp_path / "truth.tif", truth, nodata=255)
    scores = evaluate_map(labels, declared, ENVIROATLAS, "five_classes")
    assert scores.pixels == 180 * 240
    assert scores.accuracy == 1


def test_the_published_protocol_ignores_shrubs_as_truth(tmp_path: Path) -> None:
    labels = write_tif(tmp_path / "map.tif", two_halves(4, 4), nodata=0)
    truth = write_tif(tmp_path / "truth.tif", two_halves(40, 52))
    assert evaluate_map(labels, truth, ENVIROATLAS, "five_classes").iou[3] == 1
    published = evaluate_map(labels, truth, ENVIROATLAS, "published")
    assert published.pixels == 240 * 120
    assert published.iou[3] == 0.5


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"size": 120}, GridError, "the same ground as the map"),
        ({"origin": (1e5, 5e6)}, GridError, "do not overlap"),
        ({"crs": None}, RasterError, "no coordinate reference system"),
        ({"left": 41}, LegendError, r"41 \(28800 px\)"),
    ],
)
def test_truth_that_does_not_fit_is_refused(
    tmp_path: Path, change: dict, error: type[Exception], message: str
) -> None:
    labels = write_tif(tmp_path / "map.tif", two_halves(4, 2), nodata=0)
    pixels = two_halves(change.get("left", 40), 20, change.get("size", 240))
    place = {k: v for k, v in change.items() if k in ("origin", "crs")}
    truth = write_tif(tmp_path / "truth.tif", pixels, **{"crs": UTM, **place})
    with pytest.raises(error, match=message):
        evaluate_map(labels, truth, ENVIROATLAS, "five_classes")


def test_an_overlap_is_scored_if_asked(tmp_path: Path) -> None:
    labels = write_tif(tmp_path / "map.tif", two_halves(4, 2), nodata=0)
    truth = write_tif(tmp_path / "truth.tif", two_halves(40, 40, 120))
    assert evaluate_map(labels, truth, ENVIROATLAS, "five_classes", overlap=True).accuracy == 1
