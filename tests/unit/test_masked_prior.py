"""Laws of masked priors: any map, frozen weights, and a folder that is checked before use."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from masked_priors import tiny_masked

import landcover_pnp as lc
from landcover_pnp.cli import main
from landcover_pnp.errors import PriorError
from landcover_pnp.prior import folder as folder_module
from landcover_pnp.prior.conversion_settings import ExportPriorSettings
from landcover_pnp.prior.denoiser import Prior, build_network
from landcover_pnp.prior.folder import CARD, CONFIG, WEIGHTS
from landcover_pnp.prior.importing import export_prior
from landcover_pnp.prior.loading import load_prior
from landcover_pnp.prior.masked_prior import MaskedPrior
from landcover_pnp.prior.noise import NoiseSchedule
from landcover_pnp.prior.settings import DenoiserSettings

KINDS = ("gaussian", "masked")


def tiny(kind: str, seed: int = 0) -> Prior | MaskedPrior:
    if kind == "masked":
        return tiny_masked(seed)
    settings = DenoiserSettings(crop_px=16, channels=[8, 16], head_channels=8, norm_groups=4)
    return Prior(build_network(settings, seed), NoiseSchedule(), 4.0, 16)


def codes(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 6, shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_masked().save(tmp_path / "prior")
    return tmp_path / "prior"


@pytest.mark.parametrize("size", [(8, 8), (7, 11), (1, 1), (1, 9)])
def test_any_map_gets_probabilities_without_a_gradient(size: tuple[int, int]) -> None:
    prior = tiny_masked()
    p = prior.predict_classes(codes(3, *size))
    assert p.shape == (3, 5, *size)
    assert p.dtype == torch.float32
    assert not p.requires_grad
    assert not any(weight.requires_grad for weight in prior.network.parameters())
    assert not prior.network.training
    torch.testing.assert_close(p.sum(1), torch.ones(3, *size))
    assert p.std() > 0.01, "random weights say something of every pixel"


def test_saved_and_loaded_it_predicts_the_same_to_float16(folder: Path) -> None:
    x, prior, loaded = codes(2, 8, 12), tiny_masked(), MaskedPrior.load(folder)
    torch.testing.assert_close(
        loaded.predict_classes(x), prior.predict_classes(x), atol=5e-3, rtol=0
    )
    assert (loaded.kind, loaded.channels, loaded.crop_px) == ("masked", 6, 8)
    assert loaded.resolution_m == 4.0
    assert all(weight.dtype == torch.float32 for weight in loaded.network.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_a_loaded_prior_saves_the_same_bytes(kind: str, tmp_path: Path) -> None:
    tiny(kind).save(tmp_path / "one")
    load_prior(tmp_path / "one").save(tmp_path / "two")
    for name in (WEIGHTS, CONFIG, CARD):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_the_folder_tells_the_kind(kind: str, tmp_path: Path) -> None:
    tiny(kind).save(tmp_path / "prior")
    assert lc.load_prior(tmp_path / "prior").kind == kind
    assert load_prior(tmp_path / "prior") is load_prior(tmp_path / "prior")
    before = load_prior(tmp_path / "prior").fingerprint
    tiny(kind, seed=1).save(tmp_path / "prior")
    assert load_prior(tmp_path / "prior").fingerprint != before


@pytest.mark.parametrize("kind", KINDS)
def test_the_other_kind_s_class_refuses_the_folder_by_name(kind: str, tmp_path: Path) -> None:
    tiny(kind).save(tmp_path / "prior")
    other = Prior if kind == "masked" else MaskedPrior
    with pytest.raises(PriorError, match=f"is a {kind} prior"):
        other.load(tmp_path / "prior")


def test_a_kind_that_is_not_shipped_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(folder_module._SHIPPED, "masked", "nowhere")
    with pytest.raises(PriorError, match="no masked prior in this installation"):
        MaskedPrior.load()


def test_a_folder_without_a_kind_is_gaussian_and_an_unknown_one_is_refused(tmp_path: Path) -> None:
    tiny("gaussian").save(tmp_path / "prior")
    assert "kind" not in json.loads((tmp_path / "prior" / CARD).read_text())
    edit(tmp_path / "prior" / CARD, kind="flow")
    with pytest.raises(PriorError, match=r"(?s)kind 'flow'.*gaussian, masked"):
        load_prior(tmp_path / "prior")


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("name", "changes", "found"),
    [
        (CARD, {"legend": {"name": "chesapeake", "classes": []}}, "legend .*'chesapeake'"),
        (CARD, {"crop_px": None}, "do not fit together"),
        (CONFIG, {"channels": [8, 32]}, "do not fit together"),
        (CONFIG, {"channels": []}, "do not fit together"),
        (CONFIG, {"channels": "many"}, "do not fit together"),
        (CONFIG, {"classes": 7}, "do not fit together"),
        (CONFIG, {"classes": None}, "do not fit together"),
    ],
)
def test_what_is_no_prior_of_this_legend_is_refused(
    folder: Path, name: str, changes: dict[str, Any], found: str
) -> None:
    edit(folder / name, **changes)
    with pytest.raises(PriorError, match=found):
        load_prior(folder)


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG, CARD])
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_damaged_files_are_refused(folder: Path, name: str, damage: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).unlink()
    if damage == "cut":
        (folder / name).write_bytes(content[: len(content) // 2])
    expected = f"has no {name}" if damage == "missing" else f"{name} is damaged"
    with pytest.raises(PriorError, match=expected):
        load_prior(folder)


class Canary:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_checkpoints_that_can_run_code_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "masked.pt").write_bytes(pickle.dumps(Canary(tmp_path / "executed")))
    for path in (tmp_path, tmp_path / "masked.pt"):
        with pytest.raises(PriorError, match=r"no safetensors model: masked.pt"):
            MaskedPrior.load(path)
    assert not (tmp_path / "executed").exists()


def test_diffusers_is_given_no_masked_prior(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(PriorError, match="is a masked prior"):
        export_prior(ExportPriorSettings(tmp_path / "out", folder))
    assert main(["import-prior", str(folder), "--out", str(tmp_path / "out")]) == 2
    assert "is a prior already" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
