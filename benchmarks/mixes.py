"""Mixes of label maps: goes on from a prior for some steps with each, to be judged side by side.

The network sees the same number of crops of each mix, at the same learning rates and seeds. The
shares are of synthetic cities, the EnviroAtlas window and tile of Pittsburgh, and the three
folders of Chesapeake labels, in the order of configs/prior/small.yaml.

Usage: python benchmarks/mixes.py CONFIG START OUT STEPS [NAME ...]; then
python benchmarks/priors.py CONFIG START=... NAME=OUT/NAME ... prints what became of them.
"""

import sys
from dataclasses import replace
from pathlib import Path

from landcover_pnp.config import load_settings
from landcover_pnp.prior.settings import TrainPriorSettings
from landcover_pnp.prior.training import train_prior

MIXES = {
    "even": (0.50, (0.20, 0.03, 0.10, 0.07, 0.10)),
    "drawn": (0.75, (0.13, 0.03, 0.03, 0.02, 0.04)),
    "real": (0.25, (0.35, 0.05, 0.10, 0.08, 0.17)),
}
"""Shares of synthetic cities, and of each label folder of the configuration."""


def mixed(settings: TrainPriorSettings, name: str) -> TrainPriorSettings:
    """The configuration with the shares of a mix."""
    drawn, folders = MIXES[name]
    labels = [replace(f, weight=w) for f, w in zip(settings.labels, folders, strict=True)]
    return replace(settings, synthetic_weight=drawn, labels=labels)


def main(config: str, start: str, out: str, steps: str, *names: str) -> None:
    """Trains every mix that is named, or all."""
    settings = load_settings(TrainPriorSettings, Path(config))
    settings = replace(settings, start=Path(start), steps=int(steps), save_every=int(steps))
    for name in names or MIXES:
        summary = train_prior(replace(mixed(settings, name), out=Path(out) / name))
        print(f"{name}: {summary.steps} steps, {summary.seconds / 60:.0f} minutes", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
