"""Commands about priors."""

from __future__ import annotations

from typing import Any

from landcover_pnp.cli.command import Command, Request, itself
from landcover_pnp.config import load_settings
from landcover_pnp.prior.conversion_settings import ExportPriorSettings, ImportPriorSettings
from landcover_pnp.prior.masked_settings import CutCropsSettings
from landcover_pnp.prior.settings import (
    JudgePriorSettings,
    SamplePriorSettings,
    TrainPriorSettings,
)


def _cut_crops(request: Request) -> Any:
    training = load_settings(TrainPriorSettings, request.path)
    from landcover_pnp.prior.crop_cutting import cut_crops

    return cut_crops(training, request.settings)


def _train_prior(request: Request) -> Any:
    from landcover_pnp.prior.training import train_prior

    return train_prior(request.settings)


def _sample_prior(request: Request) -> Any:
    from landcover_pnp.prior.sampling import sample_prior

    return sample_prior(request.settings)


def _judge_prior(request: Request) -> Any:
    config = request.options["training"]
    training = None if config is None else load_settings(TrainPriorSettings, config)
    from landcover_pnp.inference.filling import FillSettings, fill
    from landcover_pnp.prior.judging import judge_prior

    def filled(prior: Any, codes: Any, hidden: Any) -> Any:
        return fill(prior, codes, hidden, None, FillSettings(), request.settings.seed, (0, 0))

    return judge_prior(request.path, request.settings, training, filled)


def _import_prior(request: Request) -> Any:
    from landcover_pnp.prior.importing import import_prior

    return import_prior(request.path, request.settings)


def _export_prior(request: Request) -> Any:
    from landcover_pnp.prior.importing import export_prior

    return export_prior(request.settings)


COMMANDS = {
    "train-prior": Command(
        _train_prior,
        TrainPriorSettings,
        ("CONFIG",),
        "Train a diffusion prior over label maps.",
        config=itself,
    ),
    "cut-crops": Command(
        _cut_crops,
        CutCropsSettings,
        ("TRAINING",),
        "Cut the crops of a prior's training once, into one file.",
    ),
    "sample-prior": Command(
        _sample_prior, SamplePriorSettings, (), "Picture of a prior's samples beside real crops."
    ),
    "judge-prior": Command(
        _judge_prior,
        JudgePriorSettings,
        ("PRIOR",),
        "Judge a prior by held-out label maps: noise, shapes, holes it fills, copies.",
        {"training": "configuration it was trained with: gives held-out maps, searched for copies"},
    ),
    "import-prior": Command(
        _import_prior,
        ImportPriorSettings,
        ("SOURCE",),
        "Convert a guided-diffusion checkpoint or a diffusers folder into a prior.",
    ),
    "export-prior": Command(
        _export_prior, ExportPriorSettings, (), "Write a prior as a folder that diffusers opens."
    ),
}
