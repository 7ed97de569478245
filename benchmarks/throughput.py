"""Processor seconds a km2 by stage of a whole run: 1 m image in, 1 m map out, by a forest.

    python benchmarks/throughput.py --side 3072 --before CHECKOUT_OF_AN_OLDER_VERSION

A synthetic city is drawn once and laid side by side; each version maps it by the engine `evidence`
and a forest in a process of its own, in one thread without workers. `start` are the imports, once a
process; all other rows grow with the area. Beside them stands the network that Rolf et al. 2022
(arXiv 2202.14000) train on weak labels and predict with: five 3 x 3 convolutions of 128 channels
and one 1 x 1. Scores are those of the map against the city's truth. --profiles maps by each profile
of this version instead; that of the paper takes minutes a km2, so it maps a window of 256 m.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from words import parser

ROOT = Path(__file__).parents[1]
STAGES = ("start", "scene", "tiles", "mosaic", "student", "student's tiles", "student's mosaic")
LATER = ("products", "rest")
WORDS = ("--inference.engine=evidence", "--student.model=forest", "--workers=0")

Figures = Mapping[str, float]


def mapped(config: Path, run: Path, words: Sequence[str]) -> dict[str, float]:
    """Maps in this process; returns CPU seconds by stage, area and scores."""
    from landcover_pnp.config import load_settings
    from landcover_pnp.pipeline import progress
    from landcover_pnp.pipeline.map import map_city
    from landcover_pnp.pipeline.settings import MapSettings

    settings = load_settings(MapSettings, config, list(words))
    marks = {"start": time.process_time()}
    last = marks["start"]
    told = progress.Watch.stage

    def stage(watch: progress.Watch, name: str, seconds: float) -> None:
        nonlocal last
        now = time.process_time()
        marks[name] = marks.get(name, 0.0) + now - last
        last = now
        told(watch, name, seconds)

    progress.Watch.stage = stage  # type: ignore[method-assign]
    summary = map_city(settings, run)
    scores = summary.scores["map"]
    return {
        **marks,
        "rest": time.process_time() - last,
        "km2": summary.area_km2,
        "accuracy": scores.accuracy,
        "mean IoU": scores.mean_iou,
    }


def in_version(checkout: Path, config: Path, run: Path, words: Sequence[str]) -> dict[str, float]:
    """The same by the package of a checkout, in a process of its own with one thread."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, __file__, "--child", str(config), str(run), *words]
    environment = {**os.environ, **one, "PYTHONPATH": f"{checkout}:{Path(__file__).parent}"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def drawn(side: int, folder: Path) -> Path:
    """A city of `side` m as a configuration of plain files with truth."""
    from city_memory import city_of, repeated

    files = city_of(side, folder)
    labels = next(folder.rglob("*h_highres_labels.tif"))
    truth = repeated(labels, side, folder / "truth.tif")
    layers = {"roads": files.roads, "buildings": files.buildings}
    rasters = {
        "image": str(files.image),
        "nlcd": str(files.coarse),
        **{name: {"path": str(layer.path)} for name, layer in layers.items() if layer},
        "truth": {"path": str(truth)},
    }  # no more than every version knows
    config = folder / "city.json"  # JSON is YAML
    config.write_text(json.dumps({"scene": {"rasters": rasters}}))
    return config


def qr_seconds(bands: int = 4, channels: int = 128, side: int = 256) -> dict[str, float]:
    """CPU seconds a Mpx of the QR network's forward pass, by arithmetic."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    widths = [bands, *[channels] * 5]
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
    net = nn.Sequential(*layers, nn.Conv2d(channels, 5, 1)).to(memory_format=torch.channels_last)
    image = torch.rand(1, bands, side, side).to(memory_format=torch.channels_last)
    found = {}
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        part, pixels = net.to(dtype), image.to(dtype)
        with torch.inference_mode():
            part(pixels)
            start = time.process_time()
            part(pixels)
        found[name] = (time.process_time() - start) / side**2 * 1e6
    return found


def table(found: Mapping[str, Figures]) -> str:
    """CPU seconds a km2 by stage and version, and the scores, as Markdown."""
    lines = [f"| CPU s a km2 | {' | '.join(found)} |", "|---|" + "---:|" * len(found)]

    def row(name: str, values: Sequence[float], form: str = ".2f") -> None:
        lines.append(f"| {name} | {' | '.join(format(value, form) for value in values)} |")

    for stage in (*STAGES, *LATER):
        row(stage, [f.get(stage, 0.0) / f["km2"] for f in found.values()])
    every = [sum(f.get(stage, 0.0) for stage in (*STAGES, *LATER)) for f in found.values()]
    row("all", [s / f["km2"] for s, f in zip(every, found.values(), strict=True)])
    started = [s - f["start"] for s, f in zip(every, found.values(), strict=True)]
    row("all but start", [s / f["km2"] for s, f in zip(started, found.values(), strict=True)])
    for score in ("accuracy", "mean IoU"):
        row(score, [f[score] for f in found.values()], ".3f")
    return "\n".join(lines)


def main(side: int, before: Path | None, profiles: bool) -> None:
    """Draws the city, maps it by each version or profile and prints the table."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        if profiles:
            print(table(_by_profile(side, folder)))
            return
        config = drawn(side, folder)
        versions = {"before": before} if before else {}
        found = {
            version: in_version(checkout.absolute(), config, folder / version, WORDS)
            for version, checkout in {**versions, "now": ROOT}.items()
        }
    print(table(found))
    for arithmetic, seconds in qr_seconds().items():
        print(f"\nQR network, forward pass, {arithmetic}: {seconds:.2f} CPU s a km2")


def _by_profile(side: int, folder: Path) -> dict[str, dict[str, float]]:
    """Each profile of this version; the paper's on a window of 256 m."""
    configs = {
        "balanced": drawn(side, folder / "large"),
        "fast": folder / "large" / "city.json",
        "paper": drawn(256, folder / "window"),
    }
    return {
        profile: in_version(ROOT, config, folder / profile, ("--workers=0", f"--profile={profile}"))
        for profile, config in configs.items()
    }


def child(words: Sequence[str]) -> None:
    """Maps in a process of one version; prints what `mapped` finds as JSON."""
    config, run, *rest = words
    print(json.dumps(mapped(Path(config), Path(run), rest)))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2:])
    else:
        options = parser(__doc__)
        options.add_argument("--side", type=int, default=1536, help="side of the city, m")
        options.add_argument("--before", type=Path, help="checkout of an older version")
        options.add_argument("--profiles", action="store_true", help="map by each profile instead")
        given = options.parse_args()
        main(given.side, given.before, given.profiles)
