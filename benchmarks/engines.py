"""Every engine on every scene: quality beside the weak labels and `evidence`, and what it costs.

The scenes are described in benchmarks/engine_scenes.py. Each row runs in a process of its own: its
cost is process time per km2, relative to `evidence` in the same run, and the peak memory is that
of the process. MI and KL are the paper's terms at the result, averaged over the scenes. The
paper's recipes are slow: they see the upper left `--window` pixels of each scene only, and the
rows that end in "(window)" are for comparison with them.

"evidence with spectral indices" is where `denoise` starts; "smoothed" is `denoise` with a mean
over 3 x 3 pixels in place of the prior: what of the gain is no more than the removal of specks.

On a machine with CUDA the networks run there, and cost is wall time.

Usage: python benchmarks/engines.py [--prior FOLDER] [--seed 11] [--width-m 640] [--window 64]
           [--scenes NAME ...] [--rows NAME ...] [--json FILE]
"""

import json
import resource
import sys
import time
import warnings
from argparse import Namespace
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from engine_scenes import Case, cases
from numpy.typing import NDArray
from words import parser

from landcover_pnp.errors import LandcoverWarning
from landcover_pnp.evaluation.scores import score
from landcover_pnp.inference.constraints import MutualInformation, WeakLabelKL
from landcover_pnp.inference.engine import infer
from landcover_pnp.inference.engines.algorithm1 import Algorithm1Settings
from landcover_pnp.inference.engines.denoise import DenoiseSettings
from landcover_pnp.inference.engines.evidence import EvidenceSettings
from landcover_pnp.inference.engines.guided import GuidedSettings
from landcover_pnp.inference.settings import InferenceSettings
from landcover_pnp.prior.denoiser import Prior

PLAIN = EvidenceSettings(spectral_indices=False, smooth_px=0)
INDICES = EvidenceSettings(spectral_indices=True, smooth_px=0)
SMOOTHED = EvidenceSettings(spectral_indices=True, smooth_px=1)
DENOISE = DenoiseSettings(spectral_indices=True)
NARROW = replace(PLAIN, radius_px=15, weak_share=0.0, match_radius_px=15)


def evidence(own: EvidenceSettings) -> InferenceSettings:
    """The engine `evidence` by its own settings."""
    return InferenceSettings("evidence", options={"evidence": own})


def after(engine: str, **own: Any) -> InferenceSettings:
    """An engine of a prior, which starts from plain `evidence` where it does."""
    return InferenceSettings(engine, options={"evidence": PLAIN, **own})


ROWS: dict[str, InferenceSettings | None] = {
    "weak labels": None,
    "evidence": evidence(PLAIN),
    "evidence, narrow boxes": evidence(NARROW),
    "evidence with spectral indices": evidence(INDICES),
    "evidence with spectral indices, smoothed": evidence(SMOOTHED),
    "denoise, no spectral indices": after(
        "denoise", denoise=DenoiseSettings(spectral_indices=False)
    ),
    "denoise": after("denoise", denoise=DENOISE),
    "denoise, bfloat16": replace(after("denoise", denoise=DENOISE), precision="bfloat16"),
    "denoise, mean clean map alone": after("denoise", denoise=replace(DENOISE, start_share=0)),
    "guided from evidence": after("guided"),
    "guided from noise, 20 steps": after("guided", guided=GuidedSettings(start="noise", steps=20)),
    "weak labels (window)": None,
    "evidence (window)": evidence(PLAIN),
    "denoise (window)": after("denoise", denoise=DENOISE),
    "algorithm1, data_set (window)": InferenceSettings(
        "algorithm1", options={"algorithm1": Algorithm1Settings(recipe="data_set")}
    ),
    "algorithm1, no Jacobian (window)": InferenceSettings(
        "algorithm1", options={"algorithm1": Algorithm1Settings(jacobian=False)}
    ),
}
"""Rows of the table; None shows the weak labels themselves."""


def measure(name: str, scenes: dict[str, Case], folder: Path | None, window: int) -> dict[str, Any]:
    """Runs one row; its figures as a JSON object."""
    torch.set_num_threads(1)
    cuda = torch.cuda.is_available()
    clock = time.monotonic if cuda else time.process_time
    settings = ROWS[name]
    prior = None
    if settings is not None and settings.needs_prior:
        prior = Prior.load(folder)
        prior.network.to("cuda" if cuda else "cpu")
        forwards = Counted(prior)
    if name.endswith("(window)"):
        scenes = {place: case.window(window) for place, case in scenes.items()}
    results, start = {}, clock()
    for place, case in scenes.items():
        known = case.observations
        p = known.weak_labels if settings is None else infer(known, settings, prior, seed=0)
        results[place] = p
    seconds = clock() - start
    km2 = sum(case.km2 for case in scenes.values())
    information, divergence = zip(
        *(terms(p, scenes[place]) for place, p in results.items()), strict=True
    )
    return {
        "row": name,
        "seconds_per_km2": seconds / km2,
        "megapixel_forwards_per_km2": forwards.pixels / 1e6 / km2 if prior else 0.0,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "mutual_information": float(np.mean(information)),
        "weak_label_kl": float(np.mean(divergence)),
        "scores": {place: accuracy(p, scenes[place]) for place, p in results.items()},
    }


class Counted:
    """Counts the pixels that go forward through a prior's network."""

    def __init__(self, prior: Prior) -> None:
        self.pixels = 0
        prior.network.register_forward_pre_hook(self._count)

    def _count(self, _: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        crops = given[0]
        self.pixels += crops.shape[0] * crops.shape[2] * crops.shape[3]


def accuracy(p: NDArray[np.float32], case: Case) -> tuple[float, float]:
    """Accuracy and mean IoU of the most probable classes on the working grid."""
    labels = np.where(case.observations.valid, p.argmax(axis=0) + 1, 0)
    scores = score(labels, case.truth, "five_classes")
    return scores.accuracy, scores.mean_iou


def terms(p: NDArray[np.float32], case: Case) -> tuple[float, float]:
    """Mutual information with the clusters, and KL from the weak labels."""
    e = case.observations
    p6, weak6 = (torch.from_numpy(np.pad(a, ((1, 0), (0, 0), (0, 0)))) for a in (p, e.weak_labels))
    clusters, valid = torch.from_numpy(e.clusters), torch.from_numpy(e.valid)
    information = MutualInformation(clusters, valid)(p6 * valid)
    return information.item(), WeakLabelKL(weak6, valid)(p6 * valid).item()


def main(options: Namespace) -> None:
    """Prints the table and writes the JSON file."""
    warnings.simplefilter("ignore", LandcoverWarning)
    with TemporaryDirectory() as name:
        scenes = cases(Path(name), options.seed, options.width_m)
    scenes = {place: scenes[place] for place in options.scenes or scenes}
    head = ["", *scenes, "MI", "KL", "time", "forwards", "MB"]
    print("accuracy / mean IoU; time per km2 relative to evidence; forwards a pixel\n")
    print("| " + " | ".join(head) + " |\n|---|" + "---:|" * (len(head) - 1))
    rows, unit = [], float("nan")
    for name in options.rows:
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            work = pool.submit(measure, name, scenes, options.prior, options.window)
            row = work.result()
        rows.append(row)
        unit = row["seconds_per_km2"] if name in ("evidence", "evidence (window)") else unit
        forwards = row["megapixel_forwards_per_km2"] * 16  # pixels of 4 m: 0.0625 million a km2
        cells = [f"{a:.3f} / {b:.3f}" for a, b in row["scores"].values()]
        cost = [f"{row['seconds_per_km2'] / unit:.2f}", f"{forwards:.0f}", f"{row['peak_mb']:.0f}"]
        measures = [f"{row['mutual_information']:.3f}", f"{row['weak_label_kl']:.4f}"]
        print("| " + " | ".join([name, *cells, *measures, *cost]) + " |", flush=True)
    print(f"\nevidence: {unit:.2f} s per km2")
    if options.json:
        options.json.write_text(json.dumps({"command": sys.argv, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":  # the processes of the rows import this file too
    words = parser(__doc__)
    words.add_argument("--prior", type=Path)
    words.add_argument("--seed", type=int, default=11)
    words.add_argument("--width-m", type=int, default=640)
    words.add_argument("--window", type=int, default=64)
    words.add_argument("--rows", nargs="*", default=list(ROWS), choices=list(ROWS))
    words.add_argument("--scenes", nargs="*", help="names of those to keep; all by default")
    words.add_argument("--json", type=Path)
    main(words.parse_args())
