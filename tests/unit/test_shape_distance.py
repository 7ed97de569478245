"""Laws of distances between the shapes of samples and of real crops that are equally built over."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from landcover_pnp.evaluation.shape_distance import (
    WITHIN,
    crossing_by_share,
    of_equal_share,
    shape_distances,
)
from landcover_pnp.evaluation.shapes import Shapes
from landcover_pnp.prior.shape_report import ShapeJudgement, shape_section

GRASS, PAVED = 5, 2


def crops(*columns: int, broken: bool = False) -> Shapes:
    """Crops of 20 pixels with so many paved rows, whole ones or with a gap in the middle."""
    maps = np.full((len(columns), 20, 20), GRASS, np.uint8)
    for labels, count in zip(maps, columns, strict=True):
        labels[:count] = PAVED
        if broken:
            labels[:, 10] = GRASS
    return Shapes.of(maps, 4.0)


def noise(seed: int, count: int = 12) -> Shapes:
    random = np.random.default_rng(seed)
    shares = random.uniform(0.1, 0.9, count)[:, None, None]
    maps = np.where(random.random((count, 16, 16)) < shares, PAVED, GRASS)
    return Shapes.of(maps.astype(np.uint8), 4.0)


@given(st.integers(0, 1000))
def test_distances_are_none_between_the_same_crops_and_symmetric(seed: int) -> None:
    one, other = noise(seed), noise(seed + 1, 9)
    assert set(shape_distances(one, one).values()) == {0.0}
    there, back = shape_distances(one, other), shape_distances(other, one)
    assert there == pytest.approx(back)
    assert all(0 <= d <= 1 for d in there.values())


@given(st.integers(0, 1000))
def test_partners_are_as_densely_built(seed: int) -> None:
    samples, real = noise(seed), noise(seed + 1, 30)
    kept, partners = of_equal_share(samples, real)
    assert len(partners.crosses) == 4 * len(kept.crosses)
    apart = np.abs(partners.impervious.reshape(-1, 4) - kept.impervious[:, None])
    assert (apart <= WITHIN).all()
    alone = [i for i, s in enumerate(samples.impervious) if abs(real.impervious - s).min() > WITHIN]
    assert len(alone) == len(samples.crosses) - len(kept.crosses)


def test_dense_samples_are_not_praised_for_crossing() -> None:
    """They cross more often than leafy crops do; beside dense ones they do not."""
    samples = crops(10, 10, broken=True)
    real = Shapes.of(np.full((6, 20, 20), GRASS, np.uint8), 4.0) + crops(9, 10)
    assert samples.crossing_share == 0
    kept, partners = of_equal_share(samples, real)
    assert partners.crossing_share == 1
    assert shape_distances(kept, partners)["crossing share"] == 1


def test_nothing_to_compare_with_has_no_distance() -> None:
    judged = ShapeJudgement.of(crops(18, 18), crops(1, 2, 1, 2))
    assert judged.apart == {}
    text = "\n".join(shape_section(judged))
    assert "0 of 2 samples have some" in text
    assert "nan" not in text


def test_crossing_is_told_by_impervious_share() -> None:
    rows = crossing_by_share(crops(1, 3, 20) + crops(3, broken=True))
    assert [n for n, _ in rows] == [1, 2, 0, 0, 1]
    assert [share for n, share in rows if n] == [1, 0.5, 1]


def test_crops_are_taken_with_their_roofs() -> None:
    shapes = noise(3)
    order: NDArray[np.int64] = np.array([4, 0, 4])
    taken = shapes.take(order)
    ends = np.cumsum(shapes.roofs)
    expected = [shapes.roof_m2[ends[i] - shapes.roofs[i] : ends[i]] for i in order]
    assert taken.roof_m2.tolist() == np.concatenate(expected).tolist()
    assert taken.roofs.tolist() == [len(part) for part in expected]
    assert len(shapes.take(np.zeros(0, np.int64)).roof_m2) == 0
