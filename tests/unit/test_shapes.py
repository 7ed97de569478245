"""Laws of shapes: what turns with a map, what an empty one has, and what one pixel may be off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from inputs import write_tif
from numpy.typing import NDArray

from landcover_pnp.evaluation.boundaries import boundaries
from landcover_pnp.evaluation.shape_scores import shape_scores, shape_table
from landcover_pnp.evaluation.shapes import ROOF_M2, Shapes, crop_boxes
from landcover_pnp.grid import Box
from landcover_pnp.legend import WORKING

Labels = NDArray[np.uint8]

MAPS = st.tuples(st.integers(1, 14), st.integers(1, 14)).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 5))
)
GRASS, PAVED = 5, 2


def parts(shapes: Shapes) -> list[object]:
    """All that is known of shapes, in an order that turning does not change."""
    kept = {key: value.tolist() for key, value in vars(shapes).items()}
    return [sorted(kept.pop("roof_m2")), *kept.values()]


@given(MAPS, st.sampled_from([1.0, 4.0]))
def test_a_turned_or_mirrored_map_has_the_same_shapes(labels: Labels, resolution_m: float) -> None:
    shapes = parts(Shapes.of(labels[None], resolution_m))
    for turned in (np.rot90(labels), labels[::-1], labels.T):
        assert parts(Shapes.of(turned[None], resolution_m)) == shapes


@given(MAPS, st.integers(0, 2**32 - 1))
def test_turned_together_two_maps_have_the_same_boundaries(labels: Labels, seed: int) -> None:
    other = np.random.default_rng(seed).permuted(labels)
    found = boundaries(other, labels)
    for turn in (np.rot90, np.transpose, np.flipud):
        turned = boundaries(turn(other), turn(labels))
        np.testing.assert_array_equal(turned.f1, found.f1)
    there_and_back = boundaries(labels, other)
    np.testing.assert_array_equal(there_and_back.found, found.there)
    np.testing.assert_array_equal(there_and_back.right, found.met)


@given(MAPS)
def test_a_map_agrees_with_itself(labels: Labels) -> None:
    found = boundaries(labels, labels)
    assert set(found.f1[found.there > 0]) <= {1.0}
    assert np.isnan(found.f1[found.there == 0]).all()


@given(MAPS, MAPS)
def test_crops_are_pooled(one: Labels, other: Labels) -> None:
    whole = Shapes.of(one[None], 4.0) + Shapes.of(other[None], 4.0)
    pair = np.zeros((2, 14, 14), np.uint8)
    for labels, canvas in zip((one, other), pair, strict=True):
        canvas[: labels.shape[0], : labels.shape[1]] = labels
    together = Shapes.of(pair, 4.0)
    np.testing.assert_array_equal(whole.parts, together.parts)
    np.testing.assert_array_equal(whole.roof_m2, together.roof_m2)
    np.testing.assert_allclose(whole.impervious, together.impervious)


def blob(size: tuple[int, int] = (30, 30)) -> Labels:
    labels = np.full(size, GRASS, np.uint8)
    labels[10:18, 9:20] = PAVED
    return labels


@pytest.mark.parametrize("shift", [(0, 1), (1, 0), (1, 1), (-1, 1), (0, 0)])
def test_a_boundary_that_is_a_pixel_off_counts(shift: tuple[int, int]) -> None:
    found = boundaries(np.roll(blob(), shift, (0, 1)), blob())
    assert found.mean_f1 == 1
    assert found.f1[[1, 4]].tolist() == [1, 1]


@pytest.mark.parametrize("shift", [(0, 2), (3, 0), (2, 2)])
def test_one_that_is_further_off_does_not(shift: tuple[int, int]) -> None:
    assert boundaries(np.roll(blob(), shift, (0, 1)), blob()).mean_f1 < 0.8
    assert boundaries(np.roll(blob(), shift, (0, 1)), blob(), tolerance_px=3).mean_f1 == 1


def test_maps_without_boundaries() -> None:
    flat = np.full((30, 30), GRASS, np.uint8)
    assert boundaries(flat, blob()).mean_f1 == 0
    assert np.isnan(boundaries(blob(), flat).mean_f1)
    assert np.isnan(boundaries(flat, flat).mean_f1)


def test_what_either_map_has_no_class_for_makes_no_boundary() -> None:
    mapped, truth = blob(), blob()
    mapped[:, 20:] = 0
    truth[:9] = 0
    found = boundaries(mapped, truth)
    assert found.mean_f1 == 1
    assert found.there[1] < boundaries(blob(), blob()).there[1]


@pytest.mark.parametrize("labels", [np.zeros((3, 8, 8), np.uint8), np.zeros((0, 8, 8), np.uint8)])
def test_empty_maps_have_no_shapes(labels: Labels) -> None:
    shapes = Shapes.of(labels, 4.0)
    assert len(shapes.crosses) == 0
    assert np.isnan(shapes.crossing_share)
    assert shapes.roofs_per_km2 == 0
    assert np.isnan(shapes.roof_quartiles_m2).all()
    assert not shapes.parts_per_km2.any()


@pytest.mark.parametrize(
    ("row", "columns", "crosses"),
    [(4, slice(0, 8), True), (4, slice(0, 7), False), (0, slice(0, 8), True)],
)
def test_a_street_crosses_if_it_reaches_both_sides(row: int, columns: slice, crosses: bool) -> None:
    labels = np.full((8, 8), GRASS, np.uint8)
    labels[row, columns] = PAVED
    assert Shapes.of(labels[None], 4.0).crosses.tolist() == [crosses]


def test_a_street_does_not_connect_by_corners_nor_in_two_pieces() -> None:
    steps = np.where(np.eye(8, dtype=bool), PAVED, GRASS).astype(np.uint8)
    broken = np.full((8, 8), GRASS, np.uint8)
    broken[3, :4], broken[4, 3:] = PAVED, PAVED
    gap = broken.copy()
    gap[4, 3] = GRASS
    assert Shapes.of(np.stack([steps, broken, gap]), 4.0).crosses.tolist() == [False, True, False]


def test_roofs_are_parts_of_the_size_of_roofs() -> None:
    labels = np.full((64, 64), GRASS, np.uint8)
    labels[2:4, 2] = PAVED  # 32 square metres: too small
    labels[10:13, 10:14] = PAVED  # 192
    labels[20:25, 20:23] = PAVED  # 240
    labels[40:50, 40:50] = PAVED  # 1600: too large
    shapes = Shapes.of(labels[None], 4.0)
    assert sorted(shapes.roof_m2) == [192, 240]
    assert shapes.roofs_per_km2 == pytest.approx(2 / 0.256**2)
    assert shapes.parts[0].tolist() == [0, 4, 0, 0, 1]
    assert shapes.roof_quartiles_m2[1] == 216
    assert ROOF_M2[0] > 32


@given(st.integers(1, 700), st.integers(1, 700), st.sampled_from([1.0, 1.36, 4.0, 30.0]))
def test_crops_partition_a_map(height: int, width: int, resolution_m: float) -> None:
    seen = np.zeros((height, width), int)
    for box in crop_boxes((height, width), resolution_m):
        seen[box.y0 : box.y1, box.x0 : box.x1] += 1
        for size, side in zip((height, width), box.shape, strict=True):
            whole = 256 / resolution_m
            assert side >= min(size, whole * 0.6) - 1
            assert side <= whole * 1.5 + 1
    assert (seen == 1).all()


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Labels, Labels]:
    """A map of 600 m at 4 m with a hole, its truth at 2 m, and both at 4 m."""
    random = np.random.default_rng(0)
    truth = np.kron(random.integers(1, 6, (25, 30)), np.ones((6, 6))).astype(np.uint8)
    mapped = np.roll(truth, (0, 2), (0, 1))
    mapped[40:50, 90:100] = 0
    folder = tmp_path_factory.mktemp("city")
    fine = np.kron(truth, np.ones((2, 2))).astype(np.uint8)
    write_tif(folder / "truth.tif", fine, 2.0)
    write_tif(folder / "map.tif", mapped, 4.0)
    return folder / "map.tif", folder / "truth.tif", mapped, truth


def test_rasters_are_measured_strip_by_strip_as_arrays_are(
    city: tuple[Path, Path, Labels, Labels],
) -> None:
    path, reference, mapped, truth = city
    found, true = shape_scores(path, reference, WORKING, "five_classes")
    both = (mapped > 0) & (truth > 0)
    lines = boundaries(mapped, truth)
    assert found.mean_boundary_f1 == pytest.approx(lines.mean_f1)
    assert list(found.boundary_f1.values()) == pytest.approx(lines.f1.tolist())
    boxes = list(crop_boxes(truth.shape, 4.0))
    assert found.crops == true.crops == len(boxes) == 6
    for scores, labels in ((found, mapped), (true, truth)):
        kept = np.where(both, labels, 0).astype(np.uint8)
        whole = Box(0, truth.shape[0], 0, truth.shape[1])
        shapes = [Shapes.of(kept[box.within(whole)][None], 4.0) for box in boxes]
        pooled = sum(shapes[1:], shapes[0])
        assert scores.crossing_share == pooled.crossing_share
        assert scores.roofs_per_km2 == pytest.approx(pooled.roofs_per_km2)
        assert list(scores.parts_per_km2.values()) == pytest.approx(pooled.parts_per_km2.tolist())
    assert true.mean_boundary_f1 == 1
    assert "| map | 6 |" in shape_table({"map": found, "truth": true})
