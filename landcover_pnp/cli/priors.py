"""Commands about priors."""

from __future__ import annotations

from pathlib import Path

from landcover_pnp.cli.command import Command, arguments, say_fields
from landcover_pnp.config import load_settings
from landcover_pnp.prior.settings import (
    ExportPriorSettings,
    ImportPriorSettings,
    JudgePriorSettings,
    SamplePriorSettings,
    TrainPriorSettings,
)


def _train_prior(words: list[str]) -> int:
    config, _, rest = arguments("CONFIG", words)
    settings = load_settings(TrainPriorSettings, Path(config), rest)
    from landcover_pnp.prior.training import train_prior

    say_fields(train_prior(settings))
    return 0


def _sample_prior(words: list[str]) -> int:
    settings = load_settings(SamplePriorSettings, overrides=words)
    from landcover_pnp.prior.sampling import sample_prior

    say_fields(sample_prior(settings))
    return 0


def _judge_prior(words: list[str]) -> int:
    folder, options, rest = arguments("PRIOR", words, training=None)
    settings = load_settings(JudgePriorSettings, overrides=rest)
    config = options["training"]
    training = None if config is None else load_settings(TrainPriorSettings, Path(config))
    from landcover_pnp.prior.judging import judge_prior

    say_fields(judge_prior(Path(folder), settings, training))
    return 0


def _import_prior(words: list[str]) -> int:
    source, _, rest = arguments("SOURCE", words)
    settings = load_settings(ImportPriorSettings, overrides=rest)
    from landcover_pnp.prior.importing import import_prior

    say_fields(import_prior(Path(source), settings))
    return 0


def _export_prior(words: list[str]) -> int:
    settings = load_settings(ExportPriorSettings, overrides=words)
    from landcover_pnp.prior.importing import export_prior

    say_fields(export_prior(settings))
    return 0


COMMANDS = {
    "train-prior": Command(
        _train_prior, TrainPriorSettings, "CONFIG", "Train a diffusion prior over label maps."
    ),
    "sample-prior": Command(
        _sample_prior, SamplePriorSettings, "", "Picture of a prior's samples beside real crops."
    ),
    "judge-prior": Command(
        _judge_prior,
        JudgePriorSettings,
        "PRIOR",
        "Judge a prior by held-out label maps: noise, landscape metrics, copies.",
        {"training": "configuration it was trained with: gives held-out maps, searched for copies"},
    ),
    "import-prior": Command(
        _import_prior,
        ImportPriorSettings,
        "SOURCE",
        "Convert a guided-diffusion checkpoint or a diffusers folder into a prior.",
    ),
    "export-prior": Command(
        _export_prior, ExportPriorSettings, "", "Write a prior as a folder that diffusers opens."
    ),
}
