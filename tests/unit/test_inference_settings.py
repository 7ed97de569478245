"""Settings of inference: what each engine is asked for, and what a map depends on."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_packages import Own, OwnSettings, observations
from inputs import write_scene

from landcover_pnp.config import load_settings, plain
from landcover_pnp.errors import RenamedWarning, SettingsError
from landcover_pnp.inference import registry
from landcover_pnp.inference.engine import infer, infer_each, require_usable
from landcover_pnp.inference.engines import evidence
from landcover_pnp.inference.engines.denoise import DenoiseSettings
from landcover_pnp.inference.engines.guided import GuidedSettings
from landcover_pnp.inference.registry import (
    engine,
    engine_blocks,
    engine_names,
    register_engine,
    start_from,
)
from landcover_pnp.inference.settings import ConstraintSettings, InferenceSettings
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.settings import DemoSettings, MapSettings
from landcover_pnp.prior.denoiser import Prior, build_network
from landcover_pnp.prior.noise import NoiseSchedule
from landcover_pnp.prior.settings import DenoiserSettings, NoiseSettings
from landcover_pnp.storage.records import changed, ingredients

ENGINES = engine_names()


@pytest.fixture(autouse=True)
def others_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))


@pytest.fixture(scope="module")
def prior() -> Prior:
    """One with 50 noise levels."""
    settings = DenoiserSettings(
        crop_px=16, channels=[8, 16], layers_per_block=1, head_channels=8, norm_groups=4
    )
    network = build_network(settings, seed=0)
    return Prior(network, NoiseSchedule(NoiseSettings(steps=50)), resolution_m=4.0, crop_px=16)


WRONG: dict[str, dict[str, list[Any]]] = {
    "evidence": {
        "iterations": [-1],
        "radius_px": [-1],
        "weak_share": [-0.1, 1.1, float("nan")],
        "match_radius_px": [-1],
        "smooth_px": [-1],
    },
    "denoise": {"t": [-1, 51], "draws": [0], "start_share": [-0.1, 1.1, float("nan")]},
    "guided": {
        "start_t": [-1, 51],
        "steps": [0],
        "stochasticity": [-0.1, 1.1],
        "constraint_steps": [-1],
        "constraint_rate": [-1.0, float("nan")],
    },
    "algorithm1": {
        "clean_up_t": [-1, 51],
        "steps": [0],
        "learning_rate": [-1.0, float("nan")],
        "learning_rate_end": [-1.0, 1.5],
        "beta1": [-0.1, 1.0],
    },
    "fill": {
        "steps": [0],
        "confident": [-0.1, 1.1, float("nan")],
        "evidence_weight": [-0.1, float("inf")],
        "share_weight": [-0.1, 1.1],
        "share_radius_px": [-1],
        "draw_steps": [0],
        "repaint_steps": [0],
        "resamplings": [0],
        "repaint_samples": [0],
    },
}
"""Values that make no map with that prior, of every engine."""

SENSIBLE = {
    "evidence": {},
    "denoise": {"t": 20},
    "guided": {"start_t": 20},
    "algorithm1": {"clean_up_t": 20},
    "fill": {},
}
"""What a prior with 50 noise levels asks for."""


STARTED = ("denoise", "guided", "fill")
"""Engines that start from ``evidence``."""


def settings_of(name: str, **values: Any) -> Any:
    return dataclasses.replace(engine_blocks()[name](**SENSIBLE[name]), **values)


def wrong_values() -> Iterator[tuple[str, str, Any]]:
    for name, keys in WRONG.items():
        for key, values in keys.items():
            yield from ((name, key, value) for value in values)


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        *((InferenceSettings, "view_px", value) for value in (-1, 0, 7)),
        (ConstraintSettings, "radius_px", -1),
        *((ConstraintSettings, "weights", {"weak_label_kl": w}) for w in (math.nan, math.inf)),
    ],
)
def test_wrong_values_of_all_engines_are_refused(kind: Any, key: str, value: object) -> None:
    with pytest.raises(SettingsError, match=key):
        kind(**{key: value})


def test_wrong_values_are_listed_of_every_engine() -> None:
    assert WRONG.keys() == SENSIBLE.keys() == set(ENGINES)


@pytest.mark.parametrize("chosen", ENGINES)
def test_only_the_chosen_engine_and_those_it_starts_from_are_asked(
    chosen: str, prior: Prior
) -> None:
    """A prior with 50 noise levels is not refused for the sake of an engine nobody asked for."""
    sensible = {name: settings_of(name) for name in ENGINES}
    used = InferenceSettings(chosen, options=sensible).used()
    assert list(used) == [chosen, *(["evidence"] if chosen in STARTED else [])]
    for name, key, value in wrong_values():
        options = {**sensible, name: settings_of(name, **{key: value})}
        settings = InferenceSettings(chosen, options=options)
        if name in used:
            with pytest.raises(SettingsError, match=rf"inference\.{name}\.{key} is {value}"):
                require_usable(settings, prior)
        else:
            require_usable(settings, prior)


def test_defaults_of_other_engines_do_not_matter_to_a_prior_of_few_levels(prior: Prior) -> None:
    settings = InferenceSettings("denoise", options={"denoise": DenoiseSettings(t=20, draws=1)})
    assert infer(observations(), settings, prior, seed=0).any()
    with pytest.raises(SettingsError, match=r"inference\.guided\.start_t is 100"):
        infer(observations(), InferenceSettings("guided"), prior, seed=0)
    noise = InferenceSettings("guided", options={"guided": GuidedSettings("noise", steps=2)})
    assert infer(observations(), noise, prior, seed=0).any()  # it starts at the prior's last level


def other_value(value: Any, field: dataclasses.Field[Any]) -> Any:
    if field.name == "start":
        return "weak_labels"
    if field.name == "recipe":
        return "single_patch"
    return not value if isinstance(value, bool) else value + 1 if value < 1 else value * 2


@pytest.mark.parametrize("chosen", ENGINES)
def test_a_map_depends_on_the_settings_of_the_engines_that_have_a_part_in_it(chosen: str) -> None:
    """Every setting of every engine, the baseline among them."""
    before = InferenceSettings(chosen)
    made_of = ingredients(inference=before.made_of("evidence"))
    for name in ENGINES:
        own = engine_blocks()[name]()
        for field in dataclasses.fields(own):
            value = other_value(getattr(own, field.name), field)
            now = before.with_options(**{name: dataclasses.replace(own, **{field.name: value})})
            differing = changed(made_of, ingredients(inference=now.made_of("evidence")))
            counts = name in before.used("evidence")
            assert differing == ([f"inference.{name}.{field.name}"] if counts else [])


def test_what_the_prior_s_engines_share_is_of_no_account_without_a_prior() -> None:
    shared = {"view_px": 64, "precision": "bfloat16"}
    for name in ENGINES:
        before = InferenceSettings(name)
        for key, value in shared.items():
            now = dataclasses.replace(before, **{key: value})
            same = before.made_of() == now.made_of()
            assert same == (not engine(name).needs_prior)


def test_what_an_engine_starts_from_counts_as_its_own() -> None:
    """An engine without a prior of its own that starts from one that has."""

    @dataclasses.dataclass(frozen=True)
    class LaterSettings:
        start: str = start_from("weak_labels", default="denoise")

    class Later(Own):
        name, Settings = "later", LaterSettings

    register_engine(Later)
    settings = InferenceSettings("later")
    assert list(settings.used()) == ["later", "denoise", "evidence"]
    assert settings.needs_prior
    assert settings.uses_indices
    alone = settings.with_options(later=LaterSettings(start="weak_labels"))
    assert list(alone.used()) == ["later"]
    assert not alone.needs_prior
    with pytest.raises(SettingsError, match="did you mean 'denoise'"):
        settings.with_options(later=LaterSettings(start="denois"))


def test_the_baseline_is_inferred_once_for_all(
    prior: Prior, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    work = evidence.evidence_map
    denoise = {"denoise": DenoiseSettings(t=20, draws=1)}
    settings = InferenceSettings("denoise", options=denoise)
    apart = {
        name: infer(observations(), dataclasses.replace(settings, engine=name), prior, seed=0)
        for name in ("evidence", "denoise")
    }

    def counted(*args: Any) -> Any:
        calls.append(1)
        return work(*args)

    monkeypatch.setattr(evidence, "evidence_map", counted)
    together = infer_each(("evidence", "denoise"), observations(), settings, prior, seed=0)
    assert len(calls) == 1
    for name, p in apart.items():
        assert together[name].tobytes() == p.tobytes()

    @dataclasses.dataclass(frozen=True)
    class SameSettings:
        start: str = start_from(default="evidence")

    class Same(Own):
        name, Settings = "same", SameSettings

        def run(self, task: Any) -> Any:
            return task.start(task.settings.start)

    register_engine(Same)
    for name in ("same", "evidence"):
        calls.clear()
        cut = ["--tiles.core_px", "40", "--tiles.halo_px", "8", "--workers", "0"]
        words = [*cut, "--inference.engine", name]
        mapped = load_settings(MapSettings, write_scene(tmp_path), words)
        tiles = map_city(mapped, tmp_path / name).progress.done
        assert len(calls) == tiles == 4


def test_settings_of_another_class_are_refused() -> None:
    with pytest.raises(SettingsError, match="'evidence' of the class OwnSettings"):
        InferenceSettings(options={"evidence": OwnSettings()})
    with pytest.raises(SettingsError, match="did you mean 'evidence'"):
        InferenceSettings(options={"evidnce": OwnSettings()})


def test_engines_that_start_from_each_other_are_refused() -> None:
    words = ["--inference.engine", "guided", "--inference.guided.start", "denoise"]
    load_settings(DemoSettings, overrides=[*words, "--inference.denoise.start", "weak_labels"])
    with pytest.raises(SettingsError, match="guided -> denoise -> guided"):
        load_settings(DemoSettings, overrides=[*words, "--inference.denoise.start", "guided"])
    load_settings(DemoSettings, overrides=[*words[2:], "--inference.engine", "evidence"])


def test_equal_settings_are_equal_and_come_back_from_their_file(tmp_path: Path) -> None:
    for words in ([], ["--inference.engine", "guided"], ["--inference.guided.steps", "3"]):
        settings = load_settings(DemoSettings, overrides=[*words, "--out", str(tmp_path)])
        (tmp_path / "settings.json").write_text(json.dumps(plain(settings)))
        assert load_settings(DemoSettings, tmp_path / "settings.json") == settings
    assert load_settings(DemoSettings) == DemoSettings()


def test_settings_that_their_class_refuses_are_named() -> None:
    @dataclasses.dataclass(frozen=True)
    class StrictSettings:
        weight: float = 1.0

        def __post_init__(self) -> None:
            if self.weight < 0:
                raise ValueError(f"weight is {self.weight}")

    register_engine(type("Strict", (Own,), {"name": "strict", "Settings": StrictSettings}))
    words = ["--inference.strict.weight", "-1"]
    with pytest.raises(SettingsError, match=r"inference\.strict\.weight is -1\.0"):
        load_settings(DemoSettings, overrides=words)


def test_the_file_of_a_run_names_no_engine_of_others_that_has_no_part_in_it() -> None:
    """It could not be read once their package is gone; built-in ones are there for the record."""
    register_engine(Own)
    assert set(plain(InferenceSettings())) >= {*ENGINES, "engine"}
    assert "own" not in plain(InferenceSettings())
    assert plain(InferenceSettings("own"))["own"] == {"weight": 1.0}
    assert "own" in plain(InferenceSettings(options={"own": OwnSettings(weight=2)}))
    plain_one = InferenceSettings("denoise")
    assert InferenceSettings("denoise", options={"own": OwnSettings()}) == plain_one


def test_a_recipe_stood_beside_the_block_that_it_is_in_now(tmp_path: Path) -> None:
    config = tmp_path / "demo.yaml"
    for text in (
        "inference: {recipe: single_patch}",
        "inference: {algorithm1: , recipe: single_patch}",
        "inference: {recipe: single_patch, algorithm1: {steps: 3}}",
    ):
        config.write_text(text)
        with pytest.warns(RenamedWarning, match=r"inference\.recipe .* inference\.algorithm1\.rec"):
            settings = load_settings(DemoSettings, config).inference
        assert settings.of("algorithm1").recipe == "single_patch"
        assert settings.of("algorithm1").chosen.steps == 500
    config.write_text("inference: {recipe: single_patch, algorithm1: 5}")
    with pytest.raises(SettingsError, match="algorithm1 is 5"):
        load_settings(DemoSettings, config)
    with pytest.warns(RenamedWarning, match="--inference.algorithm1.recipe"):
        words = ["--inference.recipe", "single_patch"]
        settings = load_settings(DemoSettings, overrides=words).inference
    assert settings.of("algorithm1").chosen.beta1 == 0.9
