"""Priors side by side: noise found, samples beside real crops, and the maps made with them.

Held-out label maps are those that CONFIG's training held out of its label folders, and four
EnviroAtlas patches (dp0 to dp3) that no prior has seen; both count the same. The last row scores
other crops of the same maps as if they were samples. Maps are by the engine `denoise`; accuracy
and mean IoU over the classes that occur in truth or map.

Usage: python benchmarks/priors.py CONFIG NAME[=FOLDER] ... [--maps-only | --priors-only]
A name without a folder is a network of CONFIG with random weights.
"""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from engine_scenes import REAL, Case, cases
from numpy.typing import NDArray
from words import parser

from landcover_pnp.config import load_settings
from landcover_pnp.evaluation.scores import score
from landcover_pnp.inference.engine import infer
from landcover_pnp.inference.engines.denoise import DenoiseSettings
from landcover_pnp.inference.engines.evidence import EvidenceSettings
from landcover_pnp.inference.settings import InferenceSettings
from landcover_pnp.prior.crops import LabelCrops, LabelSource
from landcover_pnp.prior.datamodule import split_sources
from landcover_pnp.prior.denoiser import Prior, build_network
from landcover_pnp.prior.judging import restore
from landcover_pnp.prior.label_maps import read_label_maps
from landcover_pnp.prior.landscape import describe, distances
from landcover_pnp.prior.noise import NoiseSchedule
from landcover_pnp.prior.sampling import sample_maps
from landcover_pnp.prior.settings import CropSettings, LabelFolder, TrainPriorSettings

CROPS, SAMPLES, STEPS = 128, 64, 50
LEVELS = (50, 100, 200, 300)
SEED = 11
REAL_SCENES = 5


def untrained(settings: TrainPriorSettings) -> Prior:
    """A prior of random weights."""
    d = settings.denoiser
    network = build_network(d, settings.seed)
    return Prior(network, NoiseSchedule(settings.noise), d.resolution_m, d.crop_px, d.prediction)


def held_out(settings: TrainPriorSettings) -> list[LabelSource]:
    """The training's held-out real maps, and the patches."""
    resolution_m = settings.denoiser.resolution_m
    sources = [LabelSource(read_label_maps(f, resolution_m), f.weight) for f in settings.labels]
    _, rural = split_sources(sources, settings)
    total = sum(source.weight for source in rural)
    folder = LabelFolder(REAL / "ea-patches", "*dp[0-3]_ea_64.tif", resolution_m=4.0)
    patches = LabelSource(read_label_maps(folder, resolution_m))
    return [patches, *(replace(source, weight=source.weight / total) for source in rural)]


def judge(settings: TrainPriorSettings, priors: dict[str, Prior]) -> None:
    """Prints errors by noise level and distances of the samples."""
    d = settings.denoiser
    how = CropSettings(class_balance=0.5)
    crops = LabelCrops(held_out(settings), d.crop_px, d.resolution_m, 2 * CROPS, SEED, how)
    drawn = [crops[i] for i in range(2 * CROPS)]
    real = np.stack([crop.x0.argmax(0).numpy() for crop in drawn]).astype(np.uint8)
    labelled = np.stack([crop.labelled.numpy() for crop in drawn]) > 0
    look = describe(real[:CROPS], d.resolution_m)
    sets: dict[str, NDArray[np.uint8]] = {}
    print("| | " + " | ".join(f"t = {t}" for t in LEVELS) + " | all | distance of samples |")
    print("|---|" + "---:|" * (len(LEVELS) + 2))
    for name, prior in priors.items():
        found = restore(prior, real[:CROPS], labelled[:CROPS], SEED)
        by_level = dict(zip(found.t, found.mse, strict=True))
        cells = [f"{by_level[t]:.4f}" for t in LEVELS] + [f"{np.mean(found.mse):.4f}"]
        sets[name] = sample_maps(prior, SAMPLES, STEPS, SEED)
        apart = distances(describe(sets[name], d.resolution_m), look)["all"]
        print(" | ".join([f"| {name}", *cells, f"{apart:.3f}"]) + " |", flush=True)
    apart = distances(describe(real[CROPS:][:SAMPLES], d.resolution_m), look)["all"]
    print("| real crops |" + " - |" * (len(LEVELS) + 1) + f" {apart:.3f} |\n")


def maps(priors: dict[str, Prior], levels: list[int]) -> None:
    """Prints accuracy and mean IoU of weak labels, evidence, and `denoise` with every prior."""
    with TemporaryDirectory() as name:
        found = cases(Path(name), SEED, 640)
    print("| | " + " | ".join([*found, "mean", "mean of the real ones"]) + " |")
    print("|---|" + "---:|" * (len(found) + 2))
    show("weak labels", found, [case.observations.weak_labels for case in found.values()])
    known = [case.observations for case in found.values()]
    rows = {
        "evidence": EvidenceSettings(spectral_indices=False, smooth_px=0),
        "evidence with spectral indices": EvidenceSettings(spectral_indices=True, smooth_px=0),
        "the same, smoothed": EvidenceSettings(spectral_indices=True, smooth_px=1),
    }
    for row, own in rows.items():
        settings = InferenceSettings("evidence", options={"evidence": own})
        show(row, found, [infer(e, settings, None, SEED) for e in known])
    for t in levels:
        denoise = DenoiseSettings(t=t, spectral_indices=True)
        options = {"evidence": rows["evidence"], "denoise": denoise}
        settings = InferenceSettings("denoise", options=options)
        for name, prior in priors.items():
            probabilities = [infer(e, settings, prior, SEED) for e in known]
            show(f"{name}, t = {t}", found, probabilities)


def show(name: str, found: dict[str, Case], probabilities: list[NDArray[np.float32]]) -> None:
    """Prints a row."""
    scores = [
        score(np.where(case.observations.valid, p.argmax(0) + 1, 0), case.truth, "five_classes")
        for case, p in zip(found.values(), probabilities, strict=True)
    ]
    cells = [f"{s.accuracy:.3f} / {s.mean_iou:.3f}" for s in scores]
    for part in (scores, scores[-REAL_SCENES:]):
        accuracy, mean_iou = ([getattr(s, n) for s in part] for n in ("accuracy", "mean_iou"))
        cells.append(f"{np.mean(accuracy):.3f} / {np.mean(mean_iou):.3f}")
    print(" | ".join([f"| {name}", *cells]) + " |", flush=True)


def main(config: Path, named: list[str], *, judged: bool, mapped: bool) -> None:
    """Prints both tables, or one."""
    settings = load_settings(TrainPriorSettings, config)
    priors = {}
    for word in named:
        name, _, folder = word.partition("=")
        priors[name] = Prior.load(Path(folder)) if folder else untrained(settings)
    if judged:
        judge(settings, priors)
    if mapped:
        maps(priors, [100, 200])


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("config", type=Path)
    options.add_argument("prior", metavar="NAME[=FOLDER]", nargs="+")
    options.add_argument("--maps-only", action="store_true")
    options.add_argument("--priors-only", action="store_true")
    words = options.parse_args()
    main(words.config, words.prior, judged=not words.maps_only, mapped=not words.priors_only)
