"""Class areas by zone: zones that share out the ground share out the areas."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from landcover_pnp.products.zonal import ZoneCounts

SHAPE = (6, 7)
RAW = arrays(np.float32, (5, *SHAPE), elements=st.floats(0, 1, width=32))
ZONES = arrays(np.uint8, SHAPE, elements=st.integers(0, 2))


def normalised(raw: np.ndarray) -> np.ndarray:
    mass = raw.sum(axis=0)
    return np.divide(raw, mass, out=np.zeros_like(raw), where=mass > 1e-3)


@given(RAW, ZONES)
def test_zones_that_partition_the_ground_add_up(raw: np.ndarray, zones: np.ndarray) -> None:
    p = normalised(raw)
    first, second, third = (ZoneCounts.of(p, zones == z) for z in range(3))
    together, whole = first + second + third, ZoneCounts.of(p, np.ones(SHAPE, bool))
    np.testing.assert_allclose(together.mapped, whole.mapped)
    np.testing.assert_allclose(together.kept, whole.kept)
    np.testing.assert_allclose(together.elsewhere, whole.elsewhere)
    assert together.no_data == whole.no_data == (~p.any(axis=0)).sum()


@given(RAW)
def test_the_mapped_and_the_expected_area_lie_in_the_range(raw: np.ndarray) -> None:
    p = normalised(raw)
    counts = ZoneCounts.of(p, np.ones(SHAPE, bool))
    low, high = counts.kept, counts.mapped + counts.elsewhere
    expected = p.sum(axis=(1, 2), dtype=np.float64)
    for area in (counts.mapped, expected):
        assert (low <= area + 1e-6).all()
        assert (area <= high + 1e-6).all()


def test_a_certain_map_leaves_no_range() -> None:
    labels = np.random.default_rng(0).integers(0, 5, SHAPE)
    p = np.eye(5, dtype=np.float32)[:, labels]
    counts = ZoneCounts.of(p, np.ones(SHAPE, bool))
    np.testing.assert_array_equal(counts.kept, counts.mapped)
    assert not counts.elsewhere.any()
    np.testing.assert_array_equal(counts.mapped, np.bincount(labels.ravel(), minlength=5))
