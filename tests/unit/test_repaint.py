"""Filling by a Gaussian prior, and the engine ``fill``."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landcover_pnp.inference.engine import infer
from landcover_pnp.inference.engines.fill import FillEngineSettings
from landcover_pnp.inference.filling import FillSettings, draw, fill
from landcover_pnp.inference.observations import Observations
from landcover_pnp.inference.settings import InferenceSettings
from landcover_pnp.prior.noise import NoiseSchedule

torch.set_num_threads(1)

FEW = FillSettings(repaint_steps=10, resamplings=2, repaint_samples=2, evidence_weight=1.0)


@dataclass
class OneClass:
    """A Gaussian prior whose maps are of one class throughout: the one that most pixels are near.

    The posterior mean of x0 under two-point-mass maps is their softmax by distance, exactly.
    """

    kind: ClassVar[str] = "gaussian"
    channels: int = 6
    schedule: NoiseSchedule = field(default_factory=NoiseSchedule)
    network: Any = field(default_factory=lambda: SimpleNamespace(device=torch.device("cpu")))

    def predict_noise(self, x_t: Tensor, t: int) -> Tensor:
        abar = float(self.schedule.alpha_bar(t))
        scores = abar**0.5 / (1 - abar) * x_t[:, 1:].sum((2, 3))
        clean = torch.zeros_like(x_t)
        clean[:, 1:] = scores.softmax(1)[..., None, None]
        return (x_t - abar**0.5 * clean) / (1 - abar) ** 0.5


def half() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    codes, hidden = np.full((12, 12), 4, np.uint8), np.zeros((12, 12), np.bool_)
    hidden[3:9, 3:9] = True
    codes[0, 0] = 0
    return codes, hidden


def test_known_pixels_tell_the_prior_what_the_hidden_ones_are() -> None:
    codes, hidden = half()
    p = fill(OneClass(), codes, hidden, None, FEW, 0, (0, 0))
    assert (p[:, hidden].argmax(axis=0) == 3).all()
    assert (p[3, hidden] > 0.6).all()
    np.testing.assert_allclose(p.sum(axis=0), codes > 0, atol=1e-5)
    np.testing.assert_array_equal(
        p[:, ~hidden], np.equal(codes, np.arange(1, 6)[:, None, None])[:, ~hidden]
    )
    np.testing.assert_array_equal(
        draw(OneClass(), codes, hidden, None, FEW, 0, (0, 0)), np.where(hidden, 4, codes)
    )


def test_evidence_weighs_a_gaussian_prior_too() -> None:
    codes, hidden = half()
    evidence = np.zeros((5, 12, 12), np.float32)
    evidence[1] = 1
    p = fill(OneClass(), codes, hidden, evidence, FEW, 0, (0, 0))
    assert (p[:, hidden].argmax(axis=0) == 1).all()
    ignored = replace(FEW, evidence_weight=0.0)
    p = fill(OneClass(), codes, hidden, evidence, ignored, 0, (0, 0))
    assert (p[:, hidden].argmax(axis=0) == 3).all()


def observed(unseen: NDArray[np.bool_] | None = None) -> Observations:
    random = np.random.default_rng(0)
    clusters = random.dirichlet(np.ones(4), (20, 26)).transpose(2, 0, 1).astype(np.float32)
    weak = random.dirichlet(np.full(5, 0.3), (20, 26)).transpose(2, 0, 1).astype(np.float32)
    valid = random.random((20, 26)) < 0.9
    return Observations(clusters, weak, valid, (-3, 40), None, unseen)


@dataclass(frozen=True)
class Trees:
    """A masked prior of woods."""

    kind: ClassVar[str] = "masked"
    device: ClassVar[torch.device] = torch.device("cpu")
    network: ClassVar[Any] = SimpleNamespace(device=torch.device("cpu"))

    def predict_classes(self, codes: Tensor) -> Tensor:
        p = torch.full((len(codes), 5, *codes.shape[1:]), 0.01)
        p[:, 3] = 0.96
        return p


def test_the_engine_completes_what_is_unseen() -> None:
    unseen = np.zeros((20, 26), np.bool_)
    unseen[:6, :6] = True
    o = observed(unseen)
    own = FillEngineSettings(start="weak_labels", evidence_weight=0.0, share_weight=0.0)
    settings = InferenceSettings(engine="fill", options={"fill": own})
    p = infer(o, settings, Trees(), 0)  # type: ignore[arg-type]
    hidden = unseen & o.valid
    seen = o.valid & ~hidden
    np.testing.assert_allclose(p[:, seen], o.weak_labels[:, seen], atol=1e-6)
    np.testing.assert_allclose(p[3, hidden], 0.96, atol=1e-5)
    assert hidden.sum() >= 20
