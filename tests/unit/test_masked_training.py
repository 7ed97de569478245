"""Laws of the training of a masked prior: what counts, what is learned, what it needs."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from landcover_pnp.errors import LandcoverError, PriorError, RequestError, RunError, SettingsError
from landcover_pnp.prior.crop_file import CropFile
from landcover_pnp.prior.folder import FILES
from landcover_pnp.prior.masked_network import MaskedUNet
from landcover_pnp.prior.masked_prior import MaskedPrior
from landcover_pnp.prior.masked_settings import MaskedNetworkSettings, OptimiserSettings
from landcover_pnp.prior.masked_training import (
    corrupt,
    hide_pixels,
    learning_rate,
    masked_cross_entropy,
    move_average,
)
from landcover_pnp.prior.train_masked import CHECKPOINT, LOG, batch_of, main, train_masked

TINY = MaskedNetworkSettings(channels=[8, 16], blocks=[1, 1], head_channels=8)
FAST = OptimiserSettings(
    steps=12, batch_size=4, learning_rate=1e-2, warmup_steps=2, ema_decay=0.9, bfloat16=False
)


def shores(count: int, seed: int = 0) -> NDArray[np.uint8]:
    """Crops of 8 px: trees on one side of a straight shore, water on the other."""
    rng = np.random.default_rng(seed)
    codes = np.full((count, 8, 8), 4, np.uint8)
    for crop in codes:
        crop[:, int(rng.integers(2, 7)) :] = 1
        crop[0, 0] = 0
    return codes


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("crops") / "crops.npz"
    CropFile(shores(24), shores(8, 1), 4.0, {"licence": "CC0, said so"}).write(path)
    return path


def test_only_hidden_labelled_pixels_count() -> None:
    codes = shores(16)
    seen, target = corrupt(codes, 4.0, (0, 0, 0))
    assert ((seen == 0) | (target == 0)).all()
    assert ((seen == 0) & (target == 0)).sum() == 16  # what is unlabelled
    assert np.array_equal(np.sort((seen + target).ravel()), np.sort(codes.ravel()))
    same_seen, same_target = corrupt(codes, 4.0, (0, 0, 0))
    assert np.array_equal(same_seen, seen)
    assert np.array_equal(same_target, target)
    assert not np.array_equal(corrupt(codes, 4.0, (0, 0, 1))[0], seen)


def test_a_share_of_single_pixels_is_hidden_of_each_crop() -> None:
    codes = np.full((2, 64, 64), 3, np.uint8)
    seen, target = hide_pixels(codes, np.array([0.1, 0.9]), np.random.default_rng(0))
    assert np.mean(seen == 0, axis=(1, 2)) == pytest.approx([0.1, 0.9], abs=0.03)
    assert np.array_equal(seen == 0, target == 3)


def test_the_loss_of_a_crop_is_the_mean_of_its_hidden_pixels() -> None:
    """Where pixels are hidden at a rate t, that is the weight 1 / t of the bound."""
    logits = torch.randn(2, 5, 16, 16, generator=torch.Generator().manual_seed(0))
    target = torch.full((2, 16, 16), 2)
    target[0, :4] = 0
    expected = -logits.log_softmax(1)[:, 1]
    found = masked_cross_entropy(logits, target)
    torch.testing.assert_close(found, torch.stack([expected[0, 4:].mean(), expected[1].mean()]))
    assert masked_cross_entropy(logits, torch.zeros_like(target)).tolist() == [0.0, 0.0]
    few = torch.zeros_like(target)
    few[:, 0, 0] = 2
    assert (masked_cross_entropy(logits, few) < expected[:, 0, 0]).all()


def test_the_learning_rate_rises_and_falls() -> None:
    s = OptimiserSettings(steps=100, warmup_steps=10, learning_rate=2.0, learning_rate_end=0.1)
    rates = [learning_rate(s, step) for step in range(101)]
    assert rates[:10] == pytest.approx([0.2 * k for k in range(1, 11)])
    assert all(a > b for a, b in pairwise(rates[10:]))
    assert rates[100] == pytest.approx(0.2)


def test_the_average_follows_the_weights() -> None:
    one, other = (MaskedUNet(TINY, seed=seed) for seed in (0, 1))
    name = "enter.weight"
    expected = 0.75 * one.state_dict()[name] + 0.25 * other.state_dict()[name]
    move_average(one, other, 0.75, step=10_000)
    torch.testing.assert_close(one.state_dict()[name], expected)
    move_average(one, other, 0.0, step=1)
    assert torch.equal(one.state_dict()[name], other.state_dict()[name])


def test_every_crop_is_learned_from_once_an_epoch() -> None:
    codes = np.arange(1, 13, dtype=np.uint8)[:, None, None]
    batches = np.stack([batch_of(codes, FAST, step).ravel() for step in range(6)])
    first, second = batches[:3].ravel(), batches[3:].ravel()
    assert sorted(first) == sorted(second) == list(range(1, 13))
    assert not np.array_equal(first, second)
    assert np.array_equal(batch_of(codes, FAST, 4).ravel(), batches[4])


def test_a_training_learns_and_a_resumed_one_gives_the_same_bytes(
    crops: Path, tmp_path: Path
) -> None:
    whole = train_masked(crops, tmp_path / "whole", TINY, FAST, save_every=5)
    train_masked(crops, tmp_path / "stopped", TINY, FAST, save_every=5, until=5)
    assert len((tmp_path / "stopped" / LOG).read_text().split()) == 2
    train_masked(crops, tmp_path / "stopped", TINY, FAST, save_every=5)
    for name in FILES[:2]:
        one, other = ((tmp_path / out / name).read_bytes() for out in ("whole", "stopped"))
        assert one == other
    losses = np.loadtxt(tmp_path / "whole" / LOG, delimiter=",", skiprows=1)
    assert losses[:, 0].tolist() == [5, 10, 12]
    stopped = np.loadtxt(tmp_path / "stopped" / LOG, delimiter=",", skiprows=1)
    assert np.array_equal(losses[:, :4], stopped[:, :4])  # all but the wall time
    assert losses[-1, 2] < 0.8 * np.log(5)
    assert whole.licence == "CC0, said so"
    assert (whole.crop_px, whole.resolution_m) == (8, 4.0)
    other_seed = train_masked(crops, tmp_path / "other", TINY, replace(FAST, seed=1), until=5)
    assert other_seed.fingerprint != whole.fingerprint


def test_a_training_of_other_settings_or_crops_is_not_gone_on_with(
    crops: Path, tmp_path: Path
) -> None:
    out = tmp_path / "prior"
    train_masked(crops, out, TINY, FAST, until=1)
    before = {path: path.read_bytes() for path in out.iterdir()}
    CropFile(shores(24, 5), shores(8, 1), 4.0).write(tmp_path / "other.npz")
    for given, network, optimiser, named in (
        (crops, TINY, replace(FAST, learning_rate=1e-3), "optimiser"),
        (crops, replace(TINY, blocks=[1, 2]), FAST, "network"),
        (tmp_path / "other.npz", TINY, FAST, "crops"),
    ):
        with pytest.raises(SettingsError, match=f"other values of {named}"):
            train_masked(given, out, network, optimiser)
    (out / CHECKPOINT).write_bytes(b"no checkpoint")
    with pytest.raises(RunError, match="damaged"):
        train_masked(crops, out, TINY, FAST)
    (out / CHECKPOINT).write_bytes(before[out / CHECKPOINT])
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_a_folder_of_something_else_is_left_alone(crops: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("dear diary")
    with pytest.raises(RequestError, match="not of its making"):
        train_masked(crops, tmp_path / "mine", TINY, FAST)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("device", ["cuda:99", "meta", "nonsense", ""])
def test_a_device_that_is_not_there_is_refused(
    device: str, crops: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(crops), "--out", str(tmp_path / "x"), "--device", device]) == 2
    said = capsys.readouterr().err
    assert f"the device {device!r}" in said
    assert "expected" in said
    assert not (tmp_path / "x").exists()


def test_a_training_starts_from_a_prior_of_its_network(crops: Path, tmp_path: Path) -> None:
    first = train_masked(crops, tmp_path / "first", TINY, FAST, until=3)
    still = replace(FAST, learning_rate=1e-12, steps=1)
    second = train_masked(crops, tmp_path / "second", TINY, still, start=tmp_path / "first")
    for name, weights in first.network.state_dict().items():
        torch.testing.assert_close(second.network.state_dict()[name], weights)
    assert second.training["start"] == first.fingerprint
    with pytest.raises(PriorError, match="same settings of the network"):
        train_masked(
            crops, tmp_path / "x", replace(TINY, blocks=[2, 1]), FAST, start=tmp_path / "first"
        )
    assert not (tmp_path / "x").exists()


def test_a_loss_that_is_not_finite_stops_with_its_step(crops: Path, tmp_path: Path) -> None:
    wild = replace(FAST, learning_rate=1e30, warmup_steps=0, steps=50)
    with pytest.raises(RunError, match="at step"):
        train_masked(crops, tmp_path / "prior", TINY, wild)


OTHER_LEGEND = {"legend": {"name": "x"}, "resolution_m": 4.0, "origin": {}}

WRONG = {
    "no crops": ({"codes": np.zeros((0, 8, 8), np.uint8)}, "no label"),
    "nothing labelled": ({"held_out": np.zeros((3, 8, 8), np.uint8)}, "held_out .* no label"),
    "codes of no class": ({"codes": np.full((2, 8, 8), 6, np.uint8)}, r"codes \[6\]"),
    "not square": ({"codes": np.ones((2, 8, 6), np.uint8)}, r"\(2, 8, 6\)"),
    "of two sizes": ({"held_out": np.ones((2, 6, 6), np.uint8)}, r"\(2, 6, 6\)"),
    "not uint8": ({"codes": np.ones((2, 8, 8), np.int64)}, "int64"),
    "one crop alone": ({"codes": np.ones((8, 8), np.uint8)}, r"\(8, 8\)"),
    "another legend": ({"card": np.array(json.dumps(OTHER_LEGEND))}, "of the legend"),
    "no card": ({"card": np.array("{")}, "damaged"),
    "a card that is a list": ({"card": np.array("[]")}, "damaged"),
    "code that runs": ({"codes": np.array([{}], object)}, "damaged"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_crops_that_do_not_do_are_refused(
    wrong: str, crops: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, message = WRONG[wrong]
    with np.load(crops) as arrays:
        given = {**{name: arrays[name] for name in arrays.files}, **change}
    np.savez(tmp_path / "wrong.npz", **given)
    with pytest.raises(PriorError, match=message):
        CropFile.read(tmp_path / "wrong.npz")
    assert main([str(tmp_path / "wrong.npz"), "--out", str(tmp_path / "out")]) == 2
    assert "expected" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04"])
def test_a_file_that_is_none_of_crops_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "crops.npz").write_bytes(content)
    with pytest.raises(PriorError, match="damaged"):
        CropFile.read(tmp_path / "crops.npz")
    assert not CropFile.is_one(tmp_path / "crops.npz")
    with pytest.raises(LandcoverError, match="no file"):
        CropFile.read(tmp_path / "missing.npz")


def test_a_file_of_crops_is_read_as_it_was_written(crops: Path, tmp_path: Path) -> None:
    found = CropFile.read(crops)
    assert np.array_equal(found.codes, shores(24))
    assert np.array_equal(found.held_out, shores(8, 1))
    assert found.crop_px == 8
    found.write(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == crops.read_bytes()
    assert CropFile.is_one(crops)


BARE = """
import sys
sys.modules.update(dict.fromkeys("%s".split()))  # None there: not installed
from landcover_pnp.prior.train_masked import main
sys.exit(main(sys.argv[1:]))
"""

HEAVY = (
    "yaml rasterio scipy diffusers pytorch_lightning lightning_fabric lightning shapely rich "
    "xarray pandas geopandas sklearn matplotlib PIL dask distributed pyproj affine odc rioxarray"
)


def test_it_trains_on_a_bare_machine(crops: Path, tmp_path: Path) -> None:
    words = f"{crops} --out {tmp_path / 'prior'} --steps 2 --batch-size 2 --save-every 1".split()
    words += ["--channels", "8", "32", "--blocks", "1", "1", "--threads", "1", "--no-bfloat16"]
    done = subprocess.run(
        [sys.executable, "-c", BARE % HEAVY, *words], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "step,loss,held_out_loss" in done.stdout
    assert MaskedPrior.load(tmp_path / "prior").network.settings.channels == [8, 32]
