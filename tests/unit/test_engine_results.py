"""What an engine may return, and what is refused and blamed on its package."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from engine_packages import Own, observations

from landcover_pnp.errors import EngineError
from landcover_pnp.inference import registry
from landcover_pnp.inference.engine import infer
from landcover_pnp.inference.registry import engine_names, register_engine
from landcover_pnp.inference.settings import InferenceSettings


@pytest.fixture(autouse=True)
def others_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    engine_names()
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))


def uniform(channels: int = 5, dtype: Any = np.float32) -> np.ndarray:
    return np.full((channels, 6, 8), 1 / channels, dtype)


def changed(value: float, channels: int = 5, where: Any = slice(None)) -> np.ndarray:
    p = uniform(channels)
    p[where, ...] = value
    return p


WRONG = {
    "nothing": (None, "NoneType, no array"),
    "a list": ([[1.0]], "list, no array"),
    "too few classes": (uniform(4), r"an array of shape \(4, 6, 8\)"),
    "too many": (uniform(7), r"an array of shape \(7, 6, 8\)"),
    "turned": (uniform().transpose(0, 2, 1), r"an array of shape \(5, 8, 6\)"),
    "a number": (np.float32(1), "float32, no array"),
    "no axes": (np.array(1.0), r"an array of shape \(\)"),
    "labels": (np.ones((5, 6, 8), np.int64), "values of type int64"),
    "texts": (np.full((5, 6, 8), "x"), "values of type <U1"),
    "complex": (uniform(dtype=np.complex64), "values of type complex64"),
    "NaN": (changed(np.nan), "values that are not finite at"),
    "infinite": (changed(np.inf, where=0), "values that are not finite at"),
    "negative": (changed(-0.2, where=0), "values below 0 at"),
    "zeros": (changed(0.0), "nothing for any class at"),
    "all no data": (changed(1.0, 6, 0) * np.eye(6)[0][:, None, None], "nothing for any class at"),
    "percent": (changed(20.0), "values that do not sum to 1 at"),
    "logits": (torch.randn(5, 6, 8), "values "),
    "an error": (RuntimeError("their mistake"), "RuntimeError: their mistake"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_an_engine_that_returns_no_probabilities_is_named_with_its_package(kind: str) -> None:
    returned, message = WRONG[kind]
    register_engine(type("Wrong", (Own,), {"returned": returned, "__module__": "their_module"}))
    with pytest.raises(EngineError, match=message) as caught:
        infer(observations(), InferenceSettings("own"), None, seed=0)
    assert caught.value.found.startswith("the engine 'own' of the module their_module ")


RIGHT = {
    "float32": uniform(),
    "float64": uniform(dtype=np.float64),
    "long double": uniform(dtype=np.longdouble),
    "half precision": torch.full((5, 6, 8), 0.2, dtype=torch.bfloat16),
    "no data in front": uniform(6),
    "a tensor": torch.full((5, 6, 8), 0.2),
    "one that needs its gradient": torch.full((6, 6, 8), 1 / 6, requires_grad=True),
    "anything where there is no data": np.where(observations().valid, uniform(), np.nan),
    "another order in memory": np.asfortranarray(uniform()),
    "read-only": np.broadcast_to(np.float32(0.2), (5, 6, 8)),
}


@pytest.mark.parametrize("kind", RIGHT)
def test_an_engine_may_return_arrays_or_tensors(kind: str) -> None:
    register_engine(type("Right", (Own,), {"returned": RIGHT[kind]}))
    p = infer(observations(), InferenceSettings("own"), None, seed=0)
    expected = np.broadcast_to(np.where(observations().valid, 0.2, 0), (5, 6, 8))
    np.testing.assert_allclose(p, expected, atol=1e-6)
    assert p.dtype == np.float32
