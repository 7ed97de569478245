"""Laws of the crops the prior learns from, and of what is held out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from landcover_pnp.errors import SettingsError
from landcover_pnp.prior.crops import Crop, LabelCrops, LabelSource, cut
from landcover_pnp.prior.datamodule import LabelMapsModule, split_sources
from landcover_pnp.prior.denoising import DenoiserTraining
from landcover_pnp.prior.label_maps import LabelMap, majority
from landcover_pnp.prior.settings import CropSettings, DenoiserSettings, TrainPriorSettings

ANY_WAY = CropSettings(class_balance=0.5, rotate=True, scale_jitter=1.5)


def some_map(height: int, width: int, seed: int = 0, resolution_m: float = 4.0) -> LabelMap:
    labels = np.random.default_rng(seed).integers(1, 6, (height, width), np.uint8)
    return LabelMap(labels, resolution_m, f"map {seed}")


def crops_of(
    *maps: LabelMap, side: int = 8, seed: int = 0, how: CropSettings | None = None
) -> LabelCrops:
    return LabelCrops([LabelSource(maps)], side, 4.0, 1000, seed, how)


def labels_of(crops: LabelCrops, index: int) -> NDArray[np.int64]:
    return crops[index].x0.argmax(0).numpy()


@given(st.integers(0, 999), st.integers(0, 2**31))
@settings(max_examples=30)
def test_a_crop_depends_on_seed_and_index_only(index: int, seed: int) -> None:
    maps = some_map(20, 30, 1), some_map(12, 12, 2)
    crop, again = (crops_of(*maps, seed=seed, how=ANY_WAY)[index] for _ in range(2))
    assert crop.x0.shape == (6, 8, 8)
    assert torch.equal(crop.x0.sum(0), torch.ones(8, 8))
    assert all(torch.equal(a, b) for a, b in zip(crop, again, strict=True))


def test_crops_come_from_everywhere_in_every_position() -> None:
    # A map in which each pixel's place can be read from the neighbourhood.
    small = LabelMap(np.array([[1, 2], [3, 4]], np.uint8), 4.0, "small")
    whole = {tuple(labels_of(crops_of(small, side=2), i).flatten()) for i in range(200)}
    assert len(whole) == 8  # four turns, mirrored or not
    single = {labels_of(crops_of(small, side=1), i).item() for i in range(200)}
    assert single == {1, 2, 3, 4}


@given(st.integers(0, 3), st.integers(0, 11), st.integers(0, 11))
def test_an_upright_cut_at_the_maps_own_resolution_is_a_window(turns: int, y: int, x: int) -> None:
    whole = some_map(20, 20)
    anchor_m = (np.array([y, x]) + 4) * 4.0
    crop = cut(whole, anchor_m, np.zeros(2), turns * np.pi / 2, 1.0, 8, 4.0)
    np.testing.assert_array_equal(crop, np.rot90(whole.labels[y : y + 8, x : x + 8], -turns))


@given(st.integers(0, 9))
def test_a_coarser_cut_takes_the_most_frequent_class(seed: int) -> None:
    whole = some_map(32, 32, seed, resolution_m=1.0)
    crop = cut(whole, np.array([16.0, 16.0]), np.zeros(2), 0.0, 1.0, 8, 4.0)
    np.testing.assert_array_equal(crop, majority(whole.labels, 4))


@given(st.floats(0, 7), st.floats(0.8, 1.25), st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_a_turned_cut_shows_its_anchor_where_it_was_asked_to(
    turn: float, scale: float, down: float, right: float
) -> None:
    labels = np.full((200, 200), 5, np.uint8)
    labels[97:103, 97:103] = 1
    anchor_m, offset = np.array([100.0, 100.0]), 0.9 * np.array([down, right])
    crop = cut(LabelMap(labels, 1.0, ""), anchor_m, offset, turn, scale, 32, 2.0)
    found = np.argwhere(crop == 1).mean(0) + 0.5
    np.testing.assert_allclose(found, (offset + 0.5) * 32, atol=1.5)


def test_a_map_without_room_for_a_turn_is_cut_upright() -> None:
    labels = np.full((8, 8), 5, np.uint8)
    labels[:4] = 1
    for turn in (0.3, 1.3):
        crop = cut(LabelMap(labels, 4.0, ""), np.zeros(2), np.zeros(2), turn, 1.2, 8, 4.0)
        assert (crop == 1).sum() == 32


@pytest.mark.parametrize(("balance", "expected"), [(0.0, 0.04), (0.5, 0.18), (1.0, 0.5)])
def test_balance_draws_rare_classes_more_often(balance: float, expected: float) -> None:
    labels = np.full((50, 50), 4, np.uint8)
    labels[:10, :10] = 1
    crops = crops_of(LabelMap(labels, 4.0, ""), side=1, how=CropSettings(class_balance=balance))
    assert np.mean([labels_of(crops, i) == 1 for i in range(1000)]) == pytest.approx(
        expected, abs=0.04
    )


def test_sources_are_drawn_by_weight() -> None:
    large, small = some_map(100, 100, 0), some_map(8, 8, 1)
    crops = LabelCrops([LabelSource([large], 1.0), LabelSource([small], 3.0)], 8, 4.0, 400, 0)
    origins = torch.stack([crops[i].origin for i in range(400)])
    assert origins.float().mean() == pytest.approx(0.75, abs=0.06)


def test_unlabelled_ground_takes_the_nearest_class_and_does_not_count() -> None:
    labels = np.full((8, 8), 4, np.uint8)
    labels[:, 3:] = 5
    labels[:, 6:] = 0
    crop = crops_of(LabelMap(labels, 4.0, ""))[0]
    assert crop.labelled.sum() == 48
    assert crop.x0[0].sum() == 0
    assert crop.x0[5].sum() == 40
    learned = crops_of(LabelMap(labels, 4.0, ""), how=CropSettings(learn_unlabelled=True))[0]
    assert learned.labelled.sum() == 64
    assert learned.x0[0].sum() == 16


def test_crops_with_few_labels_are_drawn_again() -> None:
    labels = np.zeros((64, 64), np.uint8)
    labels[20:36, 20:36] = 4
    crops = crops_of(LabelMap(labels, 4.0, ""))
    assert all(crops[i].labelled.mean() >= 0.5 for i in range(50))


def module(sources: list[LabelSource], **more: object) -> LabelMapsModule:
    basis = TrainPriorSettings(
        Path("unused"), denoiser=DenoiserSettings(crop_px=8), batch_size=4, steps=3
    )
    return LabelMapsModule(sources, replace(basis, **more))  # type: ignore[arg-type]


def test_training_and_validation_share_no_map() -> None:
    sources = [LabelSource([some_map(8, 8, i) for i in range(6)]), LabelSource([some_map(8, 8, 9)])]
    data = module(sources, val_share=0.3)
    train, held_out = (
        [{m.name for m in s.maps} for s in part] for part in (data.train, data.held_out)
    )
    assert [len(names) for names in train] == [4, 1]  # a single map is never held out
    assert [len(names) for names in held_out] == [2]
    assert train[0] | held_out[0] == {f"map {i}" for i in range(6)}
    batches = list(data.train_dataloader())
    assert [b.x0.shape for b in batches] == [(4, 6, 8, 8)] * 3
    assert set(data.names(batches[0])) <= train[0] | train[1]
    first, again = (list(data.val_dataloader()) for _ in range(2))
    assert all(torch.equal(a.x0, b.x0) for a, b in zip(first, again, strict=True))


def test_the_order_of_crops_does_not_depend_on_the_number_of_workers() -> None:
    sources = [LabelSource([some_map(20, 20, i) for i in range(3)])]
    state = torch.random.get_rng_state()
    alone = list(module(sources).train_dataloader())
    helped = list(module(sources, workers=2).train_dataloader())
    assert all(torch.equal(a.x0, b.x0) for a, b in zip(alone, helped, strict=True))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_too_few_or_too_small_maps_are_refused() -> None:
    with pytest.raises(SettingsError, match="1 label maps"):
        module([LabelSource([some_map(8, 8)])])
    with pytest.raises(SettingsError, match="map 7 covers 28 x 36 m"):
        module([LabelSource([some_map(8, 8), some_map(8, 8, 1), some_map(7, 9, 7)])])


def test_labels_too_sparse_to_be_met_are_not_drawn_from() -> None:
    sparse = np.zeros((400, 400), np.uint8)
    sparse[1::4, 2::4] = 3  # between the pixels that are looked at
    label_map = LabelMap(sparse, 1.0, "sparse")
    with pytest.raises(SettingsError, match="hardly any label"):
        crops_of(label_map)
    sources = [LabelSource([label_map]), LabelSource([some_map(20, 20)])]
    crops = LabelCrops(sources, 8, 4.0, 10, 0)
    assert {int(crops[i].origin) for i in range(10)} == {1}


def test_a_crop_without_a_label_counts_nothing() -> None:
    fine = np.zeros((4000, 4000), np.uint8)
    fine[2000, 2000] = 1  # one pixel of 0.25 m: no crop of 4 m sees it
    crop = crops_of(LabelMap(fine, 0.25, "fine"))[0]
    assert not crop.labelled.any()
    training = DenoiserTraining(
        TrainPriorSettings(Path(), denoiser=DenoiserSettings(8, 4.0, [8, 16], 1, 8, 4))
    )
    batch = Crop(crop.x0[None], crop.labelled[None], crop.origin[None])
    draw = torch.Generator().manual_seed(0)
    assert training._errors(training.network, batch, torch.tensor([500]), draw).tolist() == [0]


def test_drawings_of_one_place_are_held_out_together() -> None:
    maps = [replace(some_map(8, 8, k), place=f"place {k // 3}") for k in range(30)]
    settings = TrainPriorSettings(Path(), denoiser=DenoiserSettings(crop_px=8), val_share=0.4)
    [learned], [held_out] = split_sources([LabelSource(maps)], settings)
    assert len(learned.maps) + len(held_out.maps) == 30
    assert not {m.place for m in learned.maps} & {m.place for m in held_out.maps}
    assert len({m.place for m in held_out.maps}) == 4


def test_either_resampling_takes_each_at_times() -> None:
    fine = some_map(64, 64, resolution_m=1.0)  # noise: the most frequent class is another than one
    crops = {
        how: crops_of(fine, how=CropSettings(resampling=how))  # type: ignore[arg-type]
        for how in ("mode", "nearest", "either")
    }
    found = {
        how
        for i in range(30)
        for how in ("mode", "nearest")
        if np.array_equal(crops["either"].codes(i)[1], crops[how].codes(i)[1])
    }
    assert found == {"mode", "nearest"}
