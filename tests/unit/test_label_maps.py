"""Laws of label maps and of the crops the prior learns from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.transform import from_origin
from rasterio.warp import reproject

from landcover_pnp.errors import LegendError, RasterError, SettingsError
from landcover_pnp.prior.label_maps import (
    LabelCrops,
    LabelMapsModule,
    draw_label_maps,
    majority,
    one_hot,
    read_label_maps,
)
from landcover_pnp.settings import DenoiserSettings, LabelFolder, TrainPriorSettings

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


def test_reading_translates_classes_before_it_takes_the_mode(tmp_path: Path) -> None:
    # Shrubs and two kinds of wetlands are trees together, 9 of 16 pixels, against 7 of grass.
    codes = np.full((4, 4), 70, np.uint8)
    codes.flat[:9] = [52, 52, 52, 91, 91, 91, 92, 92, 92]
    write_labels(tmp_path / "a.tif", codes)
    [labels] = read_label_maps(LabelFolder(tmp_path), 4.0)
    np.testing.assert_array_equal(labels, [[4]])


def test_reading_agrees_with_majority_where_pixels_nest(tmp_path: Path) -> None:
    labels = np.kron(some_labels(5, 7), np.ones((4, 4), np.uint8))
    write_labels(tmp_path / "a.tif", labels)
    [read] = read_label_maps(LabelFolder(tmp_path, legend="working"), 4.0)
    np.testing.assert_array_equal(read, majority(labels, 4))


def test_files_come_in_order_from_subfolders_too(tmp_path: Path) -> None:
    write_labels(tmp_path / "b" / "x.tif", np.full((8, 8), 2, np.uint8))
    write_labels(tmp_path / "a" / "y.tif", np.full((8, 12), 1, np.uint8))
    maps = list(read_label_maps(LabelFolder(tmp_path, legend="working"), 4.0))
    assert [m.shape for m in maps] == [(2, 3), (2, 2)]


def test_declared_no_data_is_no_data(tmp_path: Path) -> None:
    labels = np.full((8, 8), 2, np.uint8)
    labels[:4, :4] = 255
    write_labels(tmp_path / "a.tif", labels, nodata=255)
    [read] = read_label_maps(LabelFolder(tmp_path, legend="working"), 4.0)
    np.testing.assert_array_equal(read, [[0, 2], [2, 2]])


def test_a_pixel_side_that_does_not_divide_is_resampled(tmp_path: Path) -> None:
    labels = np.repeat(np.array([[1, 2]], np.uint8), 40, axis=1).repeat(80, axis=0)
    write_labels(tmp_path / "a.tif", labels, res_m=1.3)
    [read] = read_label_maps(LabelFolder(tmp_path, legend="working"), 4.0)
    assert read.shape == (26, 26)
    np.testing.assert_array_equal(read[:, :12], 1)
    np.testing.assert_array_equal(read[:, 14:], 2)


def test_bad_label_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RasterError, match=r"no file \*\.tif"):
        list(read_label_maps(LabelFolder(tmp_path), 4.0))
    write_labels(tmp_path / "unknown.tif", np.full((8, 8), 77, np.uint8))
    with pytest.raises(LegendError, match=r"77 \(64 px\)"):
        list(read_label_maps(LabelFolder(tmp_path), 4.0))
    write_labels(tmp_path / "unknown.tif", np.full((8, 8), 10, np.uint8), res_m=30.0)
    with pytest.raises(RasterError, match="pixels of 30 m"):
        list(read_label_maps(LabelFolder(tmp_path), 4.0))
    write_labels(tmp_path / "unknown.tif", np.full((8, 8), 10, np.uint8), crs="EPSG:4326")
    with pytest.raises(RasterError, match="not in metres"):
        list(read_label_maps(LabelFolder(tmp_path), 4.0))


def test_drawn_maps_follow_the_seed() -> None:
    one, again = (list(draw_label_maps(2, 200, 4.0, seed=3)) for _ in range(2))
    [other, _] = draw_label_maps(2, 200, 4.0, seed=4)
    assert one[0].shape == (50, 50)
    assert one[0].max() <= 5
    for a, b in zip(one, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (one[0] != other).any()
    with pytest.raises(SettingsError, match="whole"):
        next(draw_label_maps(1, 200, 2.5, seed=0))


def crops(count: int, seed: int = 0, lowest: int = 1) -> LabelCrops:
    maps = [some_labels(20, 30, 1, lowest), some_labels(12, 12, 2, lowest)]
    return LabelCrops(maps, 8, count, seed)


@given(st.integers(0, 10**6), st.integers(0, 2**31))
def test_a_crop_depends_on_seed_and_index_only(index: int, seed: int) -> None:
    crop = crops(10, seed)[index]
    assert crop.shape == (6, 8, 8)
    assert torch.equal(crop.sum(0), torch.ones(8, 8))
    assert torch.equal(crop, crops(20, seed)[index])


def test_crops_come_from_everywhere_in_every_position() -> None:
    # A map in which each pixel's place can be read from the neighbourhood: crops of one pixel.
    labels = np.array([[1, 2], [3, 4]], np.uint8)
    whole = {
        tuple(c.argmax(0).flatten().tolist())
        for c in map(LabelCrops([labels], 2, 1, 0).__getitem__, range(200))
    }
    assert len(whole) == 8  # four turns, mirrored or not
    single = [int(LabelCrops([labels], 1, 1, 0)[i].argmax()) for i in range(200)]
    assert set(single) == {1, 2, 3, 4}


def test_crops_without_labels_are_drawn_again() -> None:
    labels = np.zeros((64, 64), np.uint8)
    labels[20:36, 20:36] = 4
    for i in range(50):
        assert LabelCrops([labels], 8, 1, 0)[i][0].mean() <= 0.5


def test_training_and_validation_share_no_map() -> None:
    settings = TrainPriorSettings(
        Path("unused"), denoiser=DenoiserSettings(crop_px=8), batch_size=4, steps=3, val_share=0.3
    )
    maps = [np.full((8, 8), i, np.uint8) for i in range(6)]
    data = LabelMapsModule(maps, settings)
    seen = {int(m[0, 0]) for m in data.train_maps}, {int(m[0, 0]) for m in data.val_maps}
    assert seen[0] | seen[1] == set(range(6))
    assert [len(s) for s in seen] == [4, 2]
    assert [batch.shape for batch in data.train_dataloader()] == [(4, 6, 8, 8)] * 3
    first, again = (list(data.val_dataloader()) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_the_order_of_crops_does_not_depend_on_the_number_of_workers() -> None:
    settings = TrainPriorSettings(
        Path("unused"), denoiser=DenoiserSettings(crop_px=8), batch_size=4, steps=3
    )
    maps = [some_labels(20, 20, i) for i in range(3)]
    state = torch.random.get_rng_state()
    alone = list(LabelMapsModule(maps, settings).train_dataloader())
    helped = list(LabelMapsModule(maps, replace(settings, workers=2)).train_dataloader())
    assert all(torch.equal(a, b) for a, b in zip(alone, helped, strict=True))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_too_few_or_too_small_maps_are_refused() -> None:
    settings = TrainPriorSettings(Path("unused"), denoiser=DenoiserSettings(crop_px=8))
    with pytest.raises(SettingsError, match="1 label maps"):
        LabelMapsModule([some_labels(8, 8)], settings)
    with pytest.raises(SettingsError, match=r"such as \(7, 9\)"):
        LabelMapsModule([some_labels(8, 8), some_labels(7, 9)], settings)
