"""Commands about priors."""

from __future__ import annotations

from pathlib import Path

from landcover_pnp.cli.command import Command, arguments, say_fields
from landcover_pnp.configuration import load_settings
from landcover_pnp.settings import SamplePriorSettings, TrainPriorSettings


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


COMMANDS = {
    "train-prior": Command(
        _train_prior, TrainPriorSettings, "CONFIG", "Train a diffusion prior over label maps."
    ),
    "sample-prior": Command(
        _sample_prior, SamplePriorSettings, "", "Picture of a prior's samples beside real crops."
    ),
}
