"""Mixes of label maps: goes on from a prior for some steps with each, to be judged side by side.

The network sees the same number of crops of each mix, at the same learning rates and seeds. The
shares are of synthetic cities, the EnviroAtlas window and tile of Pittsburgh, and the three
folders of Chesapeake labels, in the order of configs/prior/small.yaml.

Usage: python benchmarks/mixes.py CONFIG START OUT STEPS [NAME ...]; then
python benchmarks/priors.py CONFIG START=... NAME=OUT/NAME ... prints what became of them.
"""

from dataclasses import replace
from pathlib import Path

from words import parser

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


def main(config: Path, start: Path, out: Path, steps: int, names: list[str]) -> None:
    """Trains every mix that is named."""
    settings = load_settings(TrainPriorSettings, config)
    settings = replace(settings, start=start, steps=steps, save_every=steps)
    for name in names:
        summary = train_prior(replace(mixed(settings, name), out=out / name))
        print(f"{name}: {summary.steps} steps, {summary.seconds / 60:.0f} minutes", flush=True)


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("config", type=Path)
    options.add_argument("start", type=Path)
    options.add_argument("out", type=Path)
    options.add_argument("steps", type=int)
    options.add_argument("name", nargs="*", help=f"some of {', '.join(MIXES)}; default: all")
    words = options.parse_args()
    if not {*words.name} <= {*MIXES}:
        options.error(f"mixes are {', '.join(MIXES)}")
    main(words.config, words.start, words.out, words.steps, words.name or list(MIXES))
