"""The door to inference: what every engine must give, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch

from landcover_pnp.errors import GridError, PriorError, SettingsError
from landcover_pnp.inference.algorithm1 import Step
from landcover_pnp.inference.engine import Evidence, infer, needs_prior
from landcover_pnp.prior.denoiser import Prior, build_network
from landcover_pnp.prior.noise import NoiseSchedule
from landcover_pnp.settings import (
    Algorithm1Settings,
    DenoiserSettings,
    DenoiseSettings,
    EvidenceSettings,
    InferenceSettings,
)

torch.set_num_threads(1)

ENGINES = get_args(get_type_hints(InferenceSettings)["engine"])

SETTINGS = InferenceSettings(
    engine="algorithm1",
    evidence=EvidenceSettings(iterations=3, radius_px=3),
    algorithm1=Algorithm1Settings(steps=4, radius_px=3, clean_up_t=2),
)


@pytest.fixture(scope="module")
def prior() -> Prior:
    settings = DenoiserSettings(
        crop_px=16, channels=[8, 16], layers_per_block=1, head_channels=8, norm_groups=4
    )
    return Prior(build_network(settings, seed=0), NoiseSchedule(), resolution_m=4.0, crop_px=16)


def evidence(height: int = 20, width: int = 26, seed: int = 0) -> Evidence:
    random = np.random.default_rng(seed)
    clusters = random.dirichlet(np.ones(4), (height, width)).transpose(2, 0, 1)
    weak = random.dirichlet(np.ones(5), (height, width)).transpose(2, 0, 1)
    valid = random.random((height, width)) < 0.8
    return Evidence(clusters.astype(np.float32), weak.astype(np.float32), valid, (-3, 40))


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
    algorithm1 = replace(SETTINGS.algorithm1, weak_label_blocks=blocks)
    settings, steps = replace(SETTINGS, algorithm1=algorithm1), list[Step]()
    here = infer(evidence(), settings, prior, 0, steps.append)
    assert len(steps) == 4 + 2
    assert set(steps[0].losses) == {"mse", "mutual_information", "weak_label_kl"}
    there = infer(replace(evidence(), origin=(500, 40)), settings, prior, 0)
    assert not np.array_equal(here, there)


def test_weights_of_the_terms_act(prior: Prior) -> None:
    def last_information(weight: float) -> float:
        algorithm1 = replace(
            SETTINGS.algorithm1,
            steps=8,
            learning_rate=3e-2,
            mutual_information_weight=weight,
            clean_up_t=0,
        )
        steps: list[Step] = []
        infer(evidence(), replace(SETTINGS, algorithm1=algorithm1), prior, 0, steps.append)
        return steps[-1].losses["mutual_information"]

    assert last_information(1000.0) > 1.5 * last_information(0.0)


def test_only_the_evidence_engine_does_without_a_prior() -> None:
    assert [name for name in ENGINES if not needs_prior(name)] == ["evidence"]
    infer(evidence(), replace(SETTINGS, engine="evidence"), None, seed=0)
    with pytest.raises(PriorError, match="without a prior"):
        infer(evidence(), replace(SETTINGS, engine="algorithm1"), None, seed=0)


def test_an_unknown_engine_lists_the_known_ones() -> None:
    with pytest.raises(SettingsError) as caught:
        needs_prior("algoritm1")
    assert all(name in caught.value.expected for name in ENGINES)
    assert caught.value.way_out == "did you mean 'algorithm1'?"


def test_a_noise_level_that_the_prior_has_not_is_refused(prior: Prior) -> None:
    too_high = replace(SETTINGS.algorithm1, clean_up_t=1001)
    for settings in (
        replace(SETTINGS, engine="algorithm1", algorithm1=too_high),
        replace(SETTINGS, engine="denoise", denoise=DenoiseSettings(t=-1)),
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
