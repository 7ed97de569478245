"""Laws of label maps, read and drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.transform import from_origin
from rasterio.warp import reproject

from landcover_pnp.errors import LegendError, RasterError, SettingsError
from landcover_pnp.prior.label_maps import (
    SHEET_M,
    draw_label_maps,
    majority,
    one_hot,
    read_label_maps,
)
from landcover_pnp.prior.settings import LabelFolder

labels_strategy = arrays(
    np.uint8, st.tuples(st.integers(1, 13), st.integers(1, 13)), elements=st.integers(0, 5)
)


def some_labels(height: int, width: int, seed: int = 0, lowest: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(lowest, 6, (height, width), np.uint8)


def write_labels(
    path: Path,
    labels: NDArray[np.uint8],
    res_m: float = 1.0,
    crs: str | None = "EPSG:26917",
    nodata: int | None = None,
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=labels.shape[0],
        width=labels.shape[1],
        count=1,
        dtype="uint8",
        crs=crs,
        transform=from_origin(500_000, 4_000_000, res_m, res_m),
        nodata=nodata,
    ) as file:
        file.write(labels, 1)


@given(labels_strategy, st.integers(1, 5))
def test_majority_takes_the_most_frequent_class_of_each_block(
    labels: NDArray[np.uint8], factor: int
) -> None:
    coarse = majority(labels, factor)
    assert coarse.shape == (labels.shape[0] // factor, labels.shape[1] // factor)
    for (y, x), winner in np.ndenumerate(coarse):
        block = labels[y * factor : (y + 1) * factor, x * factor : (x + 1) * factor]
        votes = np.bincount(block[block > 0], minlength=6)
        assert winner == (votes.argmax() if votes.any() else 0)


@given(labels_strategy)
def test_majority_of_single_pixels_is_the_labels(labels: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(majority(labels, 1), labels)


@given(st.integers(0, 2**32 - 1))
def test_majority_is_the_mode_of_gdal(seed: int) -> None:
    labels = some_labels(24, 16, seed)
    expected = np.zeros((6, 4), np.uint8)
    reproject(
        labels,
        expected,
        src_transform=from_origin(0, 24, 1, 1),
        dst_transform=from_origin(0, 24, 4, 4),
        src_crs="EPSG:26917",
        dst_crs="EPSG:26917",
        src_nodata=0,
        dst_nodata=0,
        resampling=Resampling.mode,
    )
    blocks = labels.reshape(6, 4, 4, 4)
    votes = np.stack([(blocks == c).sum((1, 3)) for c in range(1, 6)])
    clear = (votes == votes.max(0)).sum(0) == 1  # the rules for equals differ
    np.testing.assert_array_equal(majority(labels, 4)[clear], expected[clear])


@given(labels_strategy)
def test_one_hot_undone_by_argmax(labels: NDArray[np.uint8]) -> None:
    hot = one_hot(labels)
    assert hot.shape == (6, *labels.shape)
    assert hot.dtype == np.float32
    np.testing.assert_array_equal(hot.sum(0), 1)
    np.testing.assert_array_equal(hot.argmax(0), labels)


def test_reading_translates_classes_and_keeps_the_files_pixels(tmp_path: Path) -> None:
    codes = np.array([[10, 20, 30], [40, 52, 70], [91, 92, 82]], np.uint8)
    write_labels(tmp_path / "a.tif", codes, res_m=1.36)
    [label_map] = read_label_maps(LabelFolder(tmp_path), 4.0)
    np.testing.assert_array_equal(label_map.labels, [[1, 2, 3], [4, 4, 5], [4, 4, 5]])
    assert label_map.resolution_m == pytest.approx(1.36)
    assert label_map.name == f"{tmp_path.name}/a"


@given(st.dictionaries(st.integers(0, 255), st.integers(0, 5), min_size=1), st.data())
def test_a_remap_stands_for_a_legend(table: dict[int, int], data: st.DataObject) -> None:
    codes = data.draw(arrays(np.uint8, (4, 4), elements=st.sampled_from([*table, 0])))
    with TemporaryDirectory() as name:
        write_labels(Path(name) / "a.tif", codes)
        folder = LabelFolder(Path(name), remap=table)
        expected = np.vectorize({0: 0, **table}.__getitem__)(codes)
        if not expected.any():
            with pytest.raises(LegendError, match="no labelled pixel"):
                read_label_maps(folder, 4.0)
            return
        [label_map] = read_label_maps(folder, 4.0)
    rows, columns = expected.any(1).nonzero()[0], expected.any(0).nonzero()[0]
    trimmed = expected[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    np.testing.assert_array_equal(label_map.labels, trimmed)


def test_files_come_in_order_from_subfolders_too(tmp_path: Path) -> None:
    write_labels(tmp_path / "b" / "x.tif", np.full((8, 8), 2, np.uint8))
    write_labels(tmp_path / "a" / "y.tif", np.full((8, 12), 1, np.uint8))
    maps = read_label_maps(LabelFolder(tmp_path, legend="working"), 4.0)
    assert [m.labels.shape for m in maps] == [(8, 12), (8, 8)]


def test_declared_no_data_is_unlabelled_even_where_its_value_has_a_class(tmp_path: Path) -> None:
    labels = np.full((8, 8), 2, np.uint8)
    labels[:4, :4] = 255
    write_labels(tmp_path / "a.tif", labels, nodata=255)
    for folder in (LabelFolder(tmp_path, legend="working"), LabelFolder(tmp_path, remap={2: 2})):
        [label_map] = read_label_maps(folder, 4.0)
        np.testing.assert_array_equal(label_map.labels, np.where(labels == 255, 0, labels))


def test_a_large_file_comes_in_sheets_that_have_labels(tmp_path: Path) -> None:
    labels = some_labels(2 * SHEET_M // 4, 3 * SHEET_M // 4, lowest=1)
    labels[: SHEET_M // 4, -SHEET_M // 4 :] = 0
    write_labels(tmp_path / "a.tif", labels, res_m=4.0)
    maps = read_label_maps(LabelFolder(tmp_path, legend="working"), 4.0)
    assert [m.name.rpartition(" ")[2] for m in maps] == ["r0c0", "r0c1", "r1c0", "r1c1", "r1c2"]
    assert sum(np.count_nonzero(m.labels) for m in maps) == np.count_nonzero(labels)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_files_without_a_place_need_a_resolution(tmp_path: Path) -> None:
    with rasterio.open(
        tmp_path / "a.tif", "w", driver="GTiff", height=8, width=8, count=1, dtype="uint8"
    ) as file:
        file.write(np.full((8, 8), 3, np.uint8), 1)
    folder = LabelFolder(tmp_path, legend="working")
    with pytest.raises(RasterError, match="no coordinate reference system"):
        read_label_maps(folder, 4.0)
    [label_map] = read_label_maps(replace(folder, resolution_m=2.0), 4.0)
    assert label_map.resolution_m == 2.0


def test_bad_label_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RasterError, match=r"no file \*\.tif"):
        read_label_maps(LabelFolder(tmp_path), 4.0)
    path = tmp_path / "bad.tif"
    write_labels(path, np.array([[77, 77], [10, 78]], np.uint8))
    with pytest.raises(LegendError, match=r"bad\.tif: 77 \(2 px\), 78 \(1 px\)"):
        read_label_maps(LabelFolder(tmp_path), 4.0)
    with pytest.raises(LegendError, match=r"bad\.tif: 78 \(1 px\)"):
        read_label_maps(LabelFolder(tmp_path, remap={77: 1, 10: 2}), 4.0)
    with pytest.raises(SettingsError, match=r"leads to \[6\]"):
        read_label_maps(LabelFolder(tmp_path, remap={77: 6}), 4.0)
    write_labels(path, np.full((8, 8), 10, np.uint8), res_m=30.0)
    with pytest.raises(RasterError, match="pixels of 30 m"):
        read_label_maps(LabelFolder(tmp_path), 4.0)
    write_labels(path, np.full((8, 8), 10, np.uint8), crs="EPSG:4326")
    with pytest.raises(RasterError, match="not in metres"):
        read_label_maps(LabelFolder(tmp_path), 4.0)


def test_a_folder_of_two_legends_needs_a_remap(tmp_path: Path) -> None:
    write_labels(tmp_path / "a.tif", np.full((8, 8), 40, np.uint8))
    write_labels(tmp_path / "b.tif", np.full((8, 8), 4, np.uint8))
    with pytest.raises(LegendError, match=r"b\.tif: 4 \(64 px\)"):
        read_label_maps(LabelFolder(tmp_path, legend="enviroatlas"), 4.0)
    maps = read_label_maps(LabelFolder(tmp_path, remap={40: 4, 4: 4}), 4.0)
    assert all((m.labels == 4).all() for m in maps)


def test_drawn_maps_follow_the_seed() -> None:
    one, again = (list(draw_label_maps(2, 200, seed=3)) for _ in range(2))
    [other, _] = draw_label_maps(2, 200, seed=4)
    assert one[0].labels.shape == (200, 200)
    assert one[0].labels.max() <= 5
    for a, b in zip(one, again, strict=True):
        np.testing.assert_array_equal(a.labels, b.labels)
    assert (one[0].labels != other.labels).any()


@pytest.mark.parametrize("pattern", ["", "/labels/*.tif", "../*.tif", "**"])
def test_patterns_that_find_no_file_are_refused(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "folder.tif").mkdir()
    with pytest.raises(RasterError, match="no file"):
        read_label_maps(LabelFolder(tmp_path, pattern), 4.0)
