"""An engine is given a prior of the kind that it takes, or says that it is of another."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_packages import Own, observations
from masked_priors import tiny_masked

from landcover_pnp.errors import PriorError, SettingsError
from landcover_pnp.inference import registry
from landcover_pnp.inference.checks import prior_kinds
from landcover_pnp.inference.choice import choose_engine, prior_of
from landcover_pnp.inference.engine import infer
from landcover_pnp.inference.registry import engine, engine_names, register_engine, start_from
from landcover_pnp.inference.settings import InferenceSettings
from landcover_pnp.prior.denoiser import Prior
from landcover_pnp.prior.loading import load_prior
from landcover_pnp.prior.masked_prior import MaskedPrior

GAUSSIAN = [name for name in engine_names() if prior_kinds(engine(name)) == ("gaussian",)]


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forgets what a test registers."""
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    yield


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("priors") / "masked"
    tiny_masked().save(folder)
    return folder


def registered_engine(kinds: Any, name: str = "own") -> str:
    class Asking(Own):
        needs_prior = True

    Asking.name = name
    if kinds is not None:
        Asking.prior_kind = kinds  # type: ignore[attr-defined]
    register_engine(Asking)
    return name


def test_the_engines_of_the_paper_take_gaussian_priors() -> None:
    assert {"algorithm1", "denoise", "guided"} <= set(GAUSSIAN)
    assert prior_kinds(engine("evidence")) == ()


@pytest.mark.parametrize("name", GAUSSIAN)
def test_another_kind_is_refused_by_name_wherever_a_prior_is_given(name: str, masked: Path) -> None:
    settings = InferenceSettings(name, prior=masked)
    found = rf"(?s)a masked prior for the engine '{name}'.*a gaussian prior.*leave inference.prior"
    with pytest.raises(PriorError, match=found):
        choose_engine(settings, 4.0)
    with pytest.raises(PriorError, match=found):
        infer(observations(), settings, load_prior(masked), 0)


def test_a_prior_alone_does_not_choose_an_engine_that_cannot_use_it(masked: Path) -> None:
    register = registered_engine(("masked", "gaussian"))
    found = rf"(?s)prior and no engine.*'denoise'.*an engine for it: .*{register}.*inference.engine"
    with pytest.raises(PriorError, match=found):
        choose_engine(InferenceSettings(prior=masked), 4.0)


def test_a_folder_may_be_named_by_a_text(masked: Path, tmp_path: Path) -> None:
    prior = MaskedPrior.load(str(masked))
    prior.save(str(tmp_path / "again"), torch.float32)
    assert load_prior(str(tmp_path / "again")).fingerprint == prior.fingerprint
    with pytest.raises(PriorError, match="no prior"):
        Prior.load(str(tmp_path / "none"))


def test_the_kind_is_refused_before_the_size_of_its_pixels(masked: Path) -> None:
    with pytest.raises(PriorError, match="a masked prior for the engine"):
        choose_engine(InferenceSettings("denoise", prior=masked), 30.0)


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (None, ("gaussian",)),
        ("gaussian", ("gaussian",)),
        ("masked", ("masked",)),
        (("masked", "gaussian"), ("masked", "gaussian")),
    ],
)
def test_an_engine_says_what_it_takes(kinds: Any, expected: tuple[str, ...], masked: Path) -> None:
    name = registered_engine(kinds)
    settings = InferenceSettings(name, prior=masked)
    assert settings.prior_kinds == expected
    if "masked" in expected:
        assert choose_engine(settings, 4.0).prior is load_prior(masked)
    else:
        with pytest.raises(PriorError, match="a masked prior"):
            choose_engine(settings, 4.0)


@pytest.mark.parametrize("kinds", ["flow", (), {"masked"}, ("masked", "flow"), 3])
def test_a_kind_that_is_none_makes_no_engine(kinds: Any) -> None:
    with pytest.raises(SettingsError, match="prior_kind is "):
        registered_engine(kinds)


def test_no_prior_named_is_the_shipped_one_of_the_engine_s_kind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[Any, str]] = []
    monkeypatch.setattr(
        "landcover_pnp.prior.loading.load_prior", lambda folder, kind: asked.append((folder, kind))
    )
    for kinds in ("masked", ("gaussian", "masked"), "gaussian"):
        prior_of(InferenceSettings(registered_engine(kinds, f"own_{len(asked)}")))
    prior_of(InferenceSettings("evidence"))
    assert asked == [(None, "masked"), (None, "gaussian"), (None, "gaussian")]


def test_a_run_has_one_prior_for_its_engine_and_what_it_starts_from() -> None:
    @dataclasses.dataclass(frozen=True)
    class LaterSettings:
        start: str = start_from(default="denoise")

    for kinds, expected in ((("masked", "gaussian"), ("gaussian",)), (("masked",), None)):

        class Later(Own):
            name, needs_prior, Settings = f"later_{len(kinds)}", True, LaterSettings
            prior_kind = kinds

        register_engine(Later)
        settings = InferenceSettings(Later.name)
        if expected:
            assert settings.prior_kinds == expected
        else:
            with pytest.raises(SettingsError, match=r"(?s)unlike priors.*a run has one prior"):
                choose_engine(settings, 4.0)
