"""Checkpoints from elsewhere: nothing in them is executed, and only sound ones become a prior."""

import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from guided_unet import GuidedUNet, tiny_settings
from torch import Tensor

from landcover_pnp.cli import main
from landcover_pnp.errors import PriorError
from landcover_pnp.prior.guided_tensors import Shape
from landcover_pnp.prior.importing import import_prior


@pytest.fixture
def tiny(checkpoint: Path) -> dict[str, Tensor]:
    return dict(torch.load(checkpoint, weights_only=True))


class Canary:
    """Runs code when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (self.path,))  # type: ignore[return-value]


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_carries_code_is_refused_and_not_executed(
    tmp_path: Path, zipped: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    source, canary = tmp_path / "unet.pth", tmp_path / "executed"
    if zipped:
        torch.save({"a": torch.zeros(1), "b": Canary(canary)}, source)
    else:
        source.write_bytes(pickle.dumps(Canary(canary), protocol=2))
    assert main(["import-prior", str(source), "--out", str(tmp_path / "out")]) == 2
    message = capsys.readouterr().err
    assert "nothing in it was executed" in message
    assert "weights_only" not in message, "torch's advice is to open it all the same"
    assert not canary.exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_checkpoint_is_refused(checkpoint: Path, tmp_path: Path, share: float) -> None:
    content = checkpoint.read_bytes()
    (tmp_path / "cut.pth").write_bytes(content[: int(share * len(content))])
    with pytest.raises(PriorError, match=r"truncated or no checkpoint|or is damaged"):
        import_prior(tmp_path / "cut.pth", tiny_settings(tmp_path / "out"))


@pytest.mark.parametrize("zipped", [True, False])
def test_damaged_bytes_are_refused(tiny: dict[str, Tensor], tmp_path: Path, zipped: bool) -> None:
    small = {key: value for key, value in tiny.items() if value.numel() < 1000}
    torch.save(small, tmp_path / "good.pth", _use_new_zipfile_serialization=zipped)
    content, rng = (tmp_path / "good.pth").read_bytes(), np.random.default_rng(0)
    for _ in range(100):
        damaged = bytearray(content)
        for place in rng.integers(0, 4000, rng.choice([1, 5, 50])):
            damaged[place] = rng.integers(256)
        (tmp_path / "damaged.pth").write_bytes(damaged)
        with pytest.raises(PriorError), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, on what it finds in there
            import_prior(tmp_path / "damaged.pth", tiny_settings(tmp_path / "out"))


@pytest.mark.parametrize(
    ("weight", "found"),
    [
        (torch.full((6,), float("nan")), "out.2.bias|conv_out.bias has values that are not finite"),
        (torch.zeros(6, dtype=torch.complex64), "not names and tensors of real numbers"),
        (torch.zeros(6, dtype=torch.int64), "not names and tensors of real numbers"),
        (torch.zeros(6).to_sparse(), "not names and tensors of real numbers"),
    ],
)
def test_weights_are_finite_real_numbers(
    tiny: dict[str, Tensor], tmp_path: Path, weight: Tensor, found: str
) -> None:
    torch.save({**tiny, "out.2.bias": weight}, tmp_path / "unet.pth")
    with pytest.raises(PriorError, match=found):
        import_prior(tmp_path / "unet.pth", tiny_settings(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_other_checkpoints_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    with pytest.raises(PriorError, match="no file or folder"):
        import_prior(path, tiny_settings(tmp_path / "out"))
    torch.save({"state_dict": {"a": torch.zeros(1)}}, path)
    with pytest.raises(PriorError, match="not names and tensors"):
        import_prior(path, tiny_settings(tmp_path / "out"))
    torch.save({"fc.weight": torch.zeros(1)}, path)
    with pytest.raises(PriorError, match=r"no tensor input_blocks\.0\.0\.weight among 1 of"):
        import_prior(path, tiny_settings(tmp_path / "out"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        weights = GuidedUNet(Shape(3, 3, (32,), 1, (True,)), 2).state_dict()
    torch.save(weights, path)
    with pytest.raises(PriorError, match="3 channels in and 3 out"):
        import_prior(path, tiny_settings(tmp_path / "out"))
