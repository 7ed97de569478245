"""The door to inference: what every engine must give, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from landcover_pnp.errors import ConstraintError, GridError, PriorError, SettingsError
from landcover_pnp.inference.engine import infer
from landcover_pnp.inference.engines.algorithm1 import RECIPES, Algorithm1Settings, time_at
from landcover_pnp.inference.engines.denoise import DenoiseSettings
from landcover_pnp.inference.engines.evidence import EvidenceSettings
from landcover_pnp.inference.engines.fill import FillEngineSettings
from landcover_pnp.inference.engines.guided import GuidedSettings
from landcover_pnp.inference.observations import Observations
from landcover_pnp.inference.registry import engine, engine_names
from landcover_pnp.inference.settings import ConstraintSettings, InferenceSettings
from landcover_pnp.inference.step import Step
from landcover_pnp.prior.denoiser import Prior, build_network
from landcover_pnp.prior.noise import NoiseSchedule
from landcover_pnp.prior.settings import DenoiserSettings

torch.set_num_threads(1)

ENGINES = engine_names()

SETTINGS = InferenceSettings(
    engine="algorithm1",
    constraints=ConstraintSettings(radius_px=3),
    options={
        "evidence": EvidenceSettings(iterations=3, radius_px=3, smooth_px=0),
        "denoise": DenoiseSettings(draws=2),
        "guided": GuidedSettings(steps=3, constraint_steps=2),
        "algorithm1": Algorithm1Settings(steps=4, clean_up_t=2),
        "fill": FillEngineSettings(repaint_steps=3, resamplings=1, repaint_samples=1),
    },
)


@pytest.fixture(scope="module")
def prior() -> Prior:
    settings = DenoiserSettings(
        crop_px=16, channels=[8, 16], layers_per_block=1, head_channels=8, norm_groups=4
    )
    return Prior(build_network(settings, seed=0), NoiseSchedule(), resolution_m=4.0, crop_px=16)


def evidence(height: int = 20, width: int = 26, seed: int = 0) -> Observations:
    random = np.random.default_rng(seed)
    clusters = random.dirichlet(np.ones(4), (height, width)).transpose(2, 0, 1)
    weak = random.dirichlet(np.ones(5), (height, width)).transpose(2, 0, 1)
    valid = random.random((height, width)) < 0.8
    unseen = np.zeros((height, width), np.bool_)
    unseen[2:9, 3:12] = True  # for the engine that fills such ground
    layers = clusters.astype(np.float32), weak.astype(np.float32)
    return Observations(*layers, valid, (-3, 40), unseen=unseen)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_map_is_a_distribution_where_valid_and_zero_elsewhere(engine: str, prior: Prior) -> None:
    known = evidence()
    p = infer(known, replace(SETTINGS, engine=engine), prior, seed=0)
    assert p.shape == (5, 20, 26)
    assert p.dtype == np.float32
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=0), known.valid, atol=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_same_seed_gives_the_same_bytes(engine: str, prior: Prior) -> None:
    settings = replace(SETTINGS, engine=engine)
    first, again = (infer(evidence(), settings, prior, seed=5) for _ in range(2))
    assert first.tobytes() == again.tobytes()


@pytest.mark.parametrize("engine", ENGINES)
def test_layers_may_hold_anything_where_there_is_no_data(engine: str, prior: Prior) -> None:
    known = evidence()
    spoilt = replace(
        known,
        clusters=np.where(known.valid, known.clusters, np.float32(np.nan)),
        weak_labels=np.where(known.valid, known.weak_labels, np.float32(7)),
    )
    settings = replace(SETTINGS, engine=engine)
    np.testing.assert_array_equal(
        infer(spoilt, settings, prior, seed=0), infer(known, settings, prior, seed=0)
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_a_canvas_without_data_gives_no_data(engine: str, prior: Prior) -> None:
    known = evidence()
    nothing = replace(known, valid=np.zeros_like(known.valid))
    assert not infer(nothing, replace(SETTINGS, engine=engine), prior, seed=0).any()


@pytest.mark.parametrize("engine", ENGINES)
def test_evidence_is_not_changed(engine: str, prior: Prior) -> None:
    known, untouched = evidence(), evidence()
    infer(known, replace(SETTINGS, engine=engine), prior, seed=0)
    np.testing.assert_array_equal(known.clusters, untouched.clusters)
    np.testing.assert_array_equal(known.weak_labels, untouched.weak_labels)


@pytest.mark.parametrize("blocks", [False, True])
def test_settings_and_origin_reach_algorithm_1(prior: Prior, blocks: bool) -> None:
    terms = replace(SETTINGS.constraints, weak_label_blocks=blocks)
    settings, steps = replace(SETTINGS, constraints=terms), list[Step]()
    here = infer(evidence(), settings, prior, 0, steps.append)
    assert len(steps) == 4 + 2
    assert set(steps[0].losses) == {"mse", "mutual_information", "weak_label_kl"}
    there = infer(replace(evidence(), origin=(500, 40)), settings, prior, 0)
    assert not np.array_equal(here, there)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_reports_its_steps(engine: str, prior: Prior) -> None:
    steps: list[Step] = []
    infer(evidence(), replace(SETTINGS, engine=engine), prior, 0, steps.append)
    assert [s.step for s in steps] == list(range(len(steps)))
    counts = {"evidence": 3, "denoise": 2, "guided": 3, "algorithm1": 4 + 2, "fill": 3}
    assert len(steps) == counts[engine]
    for s in steps:
        assert s.probabilities.shape == (6, 20, 26)
        assert 0 <= s.t <= 1000
        assert (s.t > 0) == (engine != "evidence")


@pytest.mark.parametrize("start", ["noise", "weak_labels", "evidence", "denoise"])
def test_guided_starts_where_it_is_told(start: str, prior: Prior) -> None:
    told = GuidedSettings(start=start, start_t=300, steps=3)
    steps: list[Step] = []
    settings = replace(SETTINGS, engine="guided").with_options(guided=told)
    infer(evidence(), settings, prior, 0, steps.append)
    assert steps[0].t == (1000 if start == "noise" else 300)


@pytest.mark.parametrize("start", ["weak_labels", "evidence", "guided", "algorithm1"])
def test_denoise_starts_where_it_is_told(start: str, prior: Prior) -> None:
    settings = SETTINGS.with_options(denoise=DenoiseSettings(start=start, draws=2))
    steps: list[Step] = []
    infer(evidence(), replace(settings, engine="denoise"), prior, 0, steps.append)
    e = evidence()
    if start == "weak_labels":
        expected = e.weak_labels
    else:
        expected = infer(e, replace(SETTINGS, engine=start), prior, seed=0)
    valid = evidence().valid
    found = steps[0].probabilities.numpy()[1:]
    np.testing.assert_allclose(found[:, valid], expected[:, valid], atol=1e-3)


@pytest.mark.parametrize("engine", ["guided", "algorithm1"])
def test_constraints_of_one_s_own_reach_the_engine(engine: str, prior: Prior) -> None:
    class NoWater:
        name = "no_water"
        weight = 500.0

        def __call__(self, probabilities: torch.Tensor) -> torch.Tensor:
            return probabilities[1].mean()

    settings = replace(SETTINGS, engine=engine)
    without = infer(evidence(), settings, prior, seed=0)
    steps: list[Step] = []
    ruled = infer(evidence(), settings, prior, 0, steps.append, [NoWater()])
    assert "no_water" in steps[0].losses
    assert ruled[0].mean() < without[0].mean()


@pytest.mark.parametrize("engine", ENGINES)
def test_constraints_of_one_s_own_hold_in_the_map_of_every_engine(
    engine: str, prior: Prior
) -> None:
    class HalfSoil:
        name = "half_soil"
        weight = 500.0

        def __call__(self, probabilities: torch.Tensor) -> torch.Tensor:
            return torch.relu(0.5 - probabilities[3].sum() / int(known.valid.sum()))

    known, settings = evidence(), replace(SETTINGS, engine=engine)
    shares = [
        (infer(known, settings, prior, 0, constraints=terms).argmax(0) == 2)[known.valid].mean()
        for terms in ([], [HalfSoil()])
    ]
    assert shares[0] < 0.4
    assert 0.5 <= shares[1] < 0.75


def test_a_constraint_that_is_in_no_list_is_named() -> None:
    with pytest.raises(ConstraintError, match="constraints that are 7"):
        infer(evidence(), replace(SETTINGS, engine="evidence"), None, 0, constraints=7)


def test_half_precision_changes_little(prior: Prior) -> None:
    settings = replace(SETTINGS, engine="denoise")
    exact = infer(evidence(), settings, prior, seed=0)
    half = infer(evidence(), replace(settings, precision="bfloat16"), prior, seed=0)
    assert 0 < np.abs(half - exact).mean() < 1e-2


def test_a_recipe_replaces_the_settings_of_algorithm_1(prior: Prior) -> None:
    class EnoughError(Exception):
        pass

    def first_steps(step: Step) -> None:
        steps.append(step.t)
        if step.step == 20:
            raise EnoughError

    schedules = []
    for recipe in RECIPES:
        steps: list[int] = []
        settings = SETTINGS.with_options(algorithm1=Algorithm1Settings(recipe=recipe))
        with pytest.raises(EnoughError):
            infer(evidence(), settings, prior, 0, first_steps)
        expected = [time_at(i, RECIPES[recipe], 1000) for i in range(21)]
        assert steps == expected
        schedules.append(steps)
    assert schedules[0] != schedules[1]


def test_an_unknown_constraint_lists_the_known_ones() -> None:
    with pytest.raises(SettingsError) as caught:
        ConstraintSettings(weights={"mutual_informatoin": 1.0})
    assert caught.value.expected == "one of mutual_information, weak_label_kl"
    assert "'mutual_information'" in caught.value.fix


def test_weights_of_the_terms_act(prior: Prior) -> None:
    def last_information(weight: float) -> float:
        longer = Algorithm1Settings(steps=8, learning_rate=3e-2, clean_up_t=0)
        terms = replace(SETTINGS.constraints, weights={"mutual_information": weight})
        settings = replace(SETTINGS, constraints=terms).with_options(algorithm1=longer)
        steps: list[Step] = []
        infer(evidence(), settings, prior, 0, steps.append)
        return steps[-1].losses["mutual_information"]

    assert last_information(1000.0) > 1.5 * last_information(0.0)


def test_only_the_evidence_engine_does_without_a_prior() -> None:
    assert [name for name in ENGINES if not engine(name).needs_prior] == ["evidence"]
    infer(evidence(), replace(SETTINGS, engine="evidence"), None, seed=0)
    with pytest.raises(PriorError, match="without a prior"):
        infer(evidence(), replace(SETTINGS, engine="algorithm1"), None, seed=0)


def test_an_unknown_engine_lists_the_known_ones() -> None:
    with pytest.raises(SettingsError) as caught:
        engine("algoritm1")
    assert all(name in caught.value.expected for name in ENGINES)
    assert caught.value.fix == "did you mean 'algorithm1'?"


def test_a_noise_level_that_the_prior_has_not_is_refused(prior: Prior) -> None:
    too_high = Algorithm1Settings(clean_up_t=1001)
    for settings in (
        SETTINGS.with_options(algorithm1=too_high),
        replace(SETTINGS, engine="denoise").with_options(denoise=DenoiseSettings(t=-1)),
    ):
        with pytest.raises(SettingsError, match="0 to 1000"):
            infer(evidence(), settings, prior, seed=0)


@pytest.mark.parametrize("layer", ["clusters", "weak_labels", "valid"])
def test_layers_of_different_size_are_refused(layer: str) -> None:
    known = evidence()
    with pytest.raises(GridError, match="one canvas"):
        replace(known, **{layer: getattr(known, layer)[..., 1:]})


def test_weak_labels_need_the_five_classes() -> None:
    known = evidence()
    with pytest.raises(GridError, match=r"\(5, y, x\)"):
        replace(known, weak_labels=known.weak_labels[:4])


WEIGHED = {
    "evidence": SETTINGS.of("evidence"),
    "denoise": SETTINGS.of("denoise"),
}
"""Engines with a say for spectral indices."""


@pytest.mark.parametrize("engine", ENGINES)
def test_spectral_indices_count_where_they_are_asked_for(engine: str, prior: Prior) -> None:
    known = evidence()
    indices = np.ones((5, 20, 26), np.float32)
    indices[2] = 1e-3  # nothing looks like soil
    told = replace(known, spectral_indices=indices)
    deaf = replace(SETTINGS, engine=engine).with_options(
        **{name: replace(own, spectral_indices=False) for name, own in WEIGHED.items()}
    )
    plain = infer(known, deaf, prior, seed=0)
    np.testing.assert_array_equal(infer(told, deaf, prior, seed=0), plain)
    for name, own in reversed(WEIGHED.items()):
        settings = deaf.with_options(**{name: replace(own, spectral_indices=True)})
        p = infer(told, settings, prior, seed=0)
        assert np.array_equal(p, plain) != settings.uses_indices
        if settings.uses_indices:
            assert p[2].sum() < 0.5 * plain[2].sum()
    if engine == "evidence":
        np.testing.assert_allclose(p[0], plain[0], atol=1e-3)  # water is known from maps


def test_what_denoise_starts_from_is_weighed_once(prior: Prior) -> None:
    indices = np.random.default_rng(1).uniform(0.1, 1, (5, 20, 26)).astype(np.float32)
    known = replace(evidence(), spectral_indices=indices)
    maps = [
        infer(
            known,
            replace(SETTINGS, engine="denoise").with_options(
                evidence=replace(WEIGHED["evidence"], spectral_indices=by_evidence),
                denoise=replace(WEIGHED["denoise"], spectral_indices=by_denoise),
            ),
            prior,
            seed=0,
        )
        for by_evidence, by_denoise in ((True, False), (True, True), (False, True), (False, False))
    ]
    np.testing.assert_array_equal(maps[0], maps[1])
    assert np.abs(maps[1] - maps[2]).mean() < 1e-3  # two classes may be level but for rounding
    assert np.abs(maps[2] - maps[3]).mean() > 1e-2


def test_spectral_indices_of_another_canvas_are_refused() -> None:
    with pytest.raises(GridError):
        replace(evidence(), spectral_indices=np.ones((5, 3, 3), np.float32))
