"""Whether confidence can be calibrated: fitted on all scenes with truth but one, tried on that one.

Maps are made by the configuration that a newcomer copies (own_files.yaml), changed by the words
given. None of the calibrations changes a class:

  temperature  p^(1/T), T by the smallest negative log likelihood (Guo et al. 2017)
  by class     the same with a T for each mapped class
  logistic     the confidence alone: a logistic curve of its log odds (Platt)
  and doubt    the same with the doubt of the pixel

Printed are expected calibration errors over 15 bins, of all pixels and the mean over mapped
classes by their share, before and after, and how often ground is wrong that is doubtful, and that
the map is sure of (90 % and more); --diagram draws the reliability diagrams. Scenes and kept
maps as for benchmarks/choose.py.

Usage: python benchmarks/calibration.py FOLDER [--words inference.engine=evidence] [--diagram X.png]
"""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from choosing_runs import Variant, settings_on
from choosing_scenes import truth_scenes
from numpy.typing import NDArray
from words import parser

from landcover_pnp.errors import LandcoverWarning
from landcover_pnp.evaluation.calibration import BINS, fit_temperature, tempered
from landcover_pnp.evidence.contradictions import DOUBTFUL
from landcover_pnp.grid import Box
from landcover_pnp.legend import CLASS_COUNT, WORKING
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.mapped_scenes import open_mapped_scene
from landcover_pnp.storage.probabilities import decode
from landcover_pnp.storage.raster import open_raster, read
from landcover_pnp.storage.run_folder import DOUBT, STUDENT, RunFolder

PIXELS = 40_000
"""Random pixels with truth that are looked at in a scene, for fitting a third of them."""

SURE = 0.9
"""Confidence of pixels that the map is sure of."""

Floats = NDArray[np.floating]


class Pixels(NamedTuple):
    """Pixels of a scene with truth.

    Attributes:
        p: (class, n) probabilities of the map.
        truth: (n,) working classes.
        doubt: (n,) percent.
    """

    p: Floats
    truth: NDArray[np.integer]
    doubt: Floats

    @property
    def confidence(self) -> Floats:
        """Largest probabilities."""
        return self.p.max(axis=0)

    @property
    def mapped(self) -> NDArray[np.intp]:
        """Mapped classes, from 0."""
        return self.p.argmax(axis=0)

    @property
    def right(self) -> NDArray[np.bool_]:
        """Where the map is right."""
        return self.mapped + 1 == self.truth


Calibration = Callable[[list[Pixels], Pixels], Floats]
"""From the pixels of the other scenes to the confidence in one."""


def pixels_of(run: Path) -> Pixels:
    """Random pixels of a finished run, at the resolution of its map."""
    mapped_scene, paths = open_mapped_scene(run), RunFolder(run)
    student = paths.probability(STUDENT).is_file()
    extent = mapped_scene.scene.extent
    truth = mapped_scene.fine.truth(extent) if student else mapped_scene.scene.truth(extent)
    if truth is None:
        raise ValueError(f"{run} has no truth")
    with (
        open_raster(paths.probability(STUDENT if student else "map"), "map") as source,
        open_raster(paths.probability(DOUBT), "doubt") as doubt,
    ):
        whole = Box(0, source.height, 0, source.width)
        p = decode(read(source, source.indexes, whole)).reshape(CLASS_COUNT, -1)
        percent = read(doubt, 1, whole).ravel()
    seen = np.flatnonzero((truth.ravel() > 0) & p.any(axis=0))
    chosen = np.random.default_rng(0).permutation(seen)[:PIXELS]
    return Pixels(p[:, chosen], truth.ravel()[chosen], percent[chosen])


def _together(scenes: list[Pixels]) -> Pixels:
    few = [Pixels(s.p[:, ::3], s.truth[::3], s.doubt[::3]) for s in scenes]
    return Pixels(*(np.concatenate(part, axis=-1) for part in zip(*few, strict=True)))


def by_temperature(others: list[Pixels], here: Pixels) -> Floats:
    """Confidence with one temperature."""
    known = _together(others)
    return tempered(here.p, fit_temperature(known.p, known.truth)).max(axis=0)


def by_class(others: list[Pixels], here: Pixels) -> Floats:
    """Confidence with a temperature for each mapped class."""
    known, found = _together(others), here.confidence.copy()
    for c in range(CLASS_COUNT):
        of, ours = known.mapped == c, here.mapped == c
        t = fit_temperature(known.p[:, of], known.truth[of])
        found[ours] = tempered(here.p[:, ours], t).max(axis=0)
    return found


def _logistic(others: list[Pixels], here: Pixels, *, doubt: bool) -> Floats:
    from sklearn.linear_model import LogisticRegression

    def features(pixels: Pixels) -> Floats:
        sure = np.clip(pixels.confidence, 1 / CLASS_COUNT, 0.999)
        columns = [np.log(sure / (1 - sure)), *([pixels.doubt / 100] if doubt else [])]
        return np.stack(columns, axis=1)

    known = _together(others)
    model = LogisticRegression(max_iter=500).fit(features(known), known.right)
    return np.asarray(model.predict_proba(features(here))[:, 1])


CALIBRATIONS: Mapping[str, Calibration] = {
    "as it is": lambda _, here: here.confidence,
    "temperature": by_temperature,
    "by class": by_class,
    "logistic": lambda others, here: _logistic(others, here, doubt=False),
    "and doubt": lambda others, here: _logistic(others, here, doubt=True),
}


def error(confidence: Floats, right: NDArray[np.bool_]) -> float:
    """Expected calibration error, Guo et al. 2017, eq. 3."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gap = np.bincount(bins, confidence - right, BINS)
    return float(np.abs(gap).sum() / max(len(right), 1))


def class_errors(confidence: Floats, here: Pixels) -> Floats:
    """The same by mapped class, (class,); NaN where none is mapped."""
    of = (here.mapped == c for c in range(CLASS_COUNT))
    return np.array([error(confidence[m], here.right[m]) if m.any() else np.nan for m in of])


def main(folder: Path, words: list[str], diagram: Path | None) -> None:
    """Makes the maps and prints the tables."""
    scenes: dict[str, Pixels] = {}
    folder.mkdir(parents=True, exist_ok=True)
    for name, scene in truth_scenes(folder).items():
        if scene.files is None:
            continue  # weak labels as given: there is no run to read
        run = folder / "runs" / name.replace(" ", "_")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LandcoverWarning)
            map_city(settings_on(scene, Variant("map", tuple(words)).settings), run)
        scenes[name] = pixels_of(run)
    found = {
        name: {
            kind: calibrate([s for n, s in scenes.items() if n != name], here)
            for kind, calibrate in CALIBRATIONS.items()
        }
        for name, here in scenes.items()
    }
    _print_errors(scenes, found)
    _print_classes(scenes, found)
    _print_doubt(scenes)
    if diagram is not None:
        _draw(scenes, found, diagram)


def _print_errors(scenes: Mapping[str, Pixels], found: Mapping[str, Mapping[str, Floats]]) -> None:
    print("\n| scene | accuracy | confidence | " + " | ".join(CALIBRATIONS) + " |")
    print("|---|" + "---:|" * (2 + len(CALIBRATIONS)))
    rows = np.array([[error(q, scenes[n].right) for q in f.values()] for n, f in found.items()])
    for (name, here), row in zip(scenes.items(), rows, strict=True):
        told = [here.right.mean(), here.confidence.mean(), *row]
        print(f"| {name} | " + " | ".join(f"{v:.3f}" for v in told) + " |")
    print("| mean | | | " + " | ".join(f"{v:.3f}" for v in rows.mean(axis=0)) + " |")
    worst = (rows - rows[:, :1]).max(axis=0)
    print("| largest loss | | | " + " | ".join(f"{v:+.3f}" for v in worst) + " |")


def _print_classes(scenes: Mapping[str, Pixels], found: Mapping[str, Mapping[str, Floats]]) -> None:
    print("\n| calibration, mean over scenes | " + " | ".join(WORKING.names) + " | by share |")
    print("|---|" + "---:|" * (CLASS_COUNT + 1))
    for kind in CALIBRATIONS:
        errors = np.array([class_errors(found[n][kind], here) for n, here in scenes.items()])
        shares = np.array(
            [np.bincount(s.mapped, minlength=CLASS_COUNT) / len(s.mapped) for s in scenes.values()]
        )
        mean = [*np.nanmean(errors, axis=0), np.nansum(errors * shares, axis=1).mean()]
        print(f"| {kind} | " + " | ".join(f"{v:.3f}" for v in mean) + " |")


def _print_doubt(scenes: Mapping[str, Pixels]) -> None:
    print(
        "\n| scene | doubtful | wrong there | wrong elsewhere | wrong of the sure | and doubtful |"
    )
    print("|---|" + "---:|" * 5)
    for name, here in scenes.items():
        there, sure = here.doubt >= DOUBTFUL, here.confidence >= SURE
        shares = [there.mean()]
        shares += [(~here.right)[part].mean() for part in (there, ~there, sure, sure & there)]
        print(f"| {name} | " + " | ".join(f"{v:.3f}" for v in shares) + " |")


def _draw(
    scenes: Mapping[str, Pixels], found: Mapping[str, Mapping[str, Floats]], path: Path
) -> None:
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    kinds = ("as it is", "logistic")
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    for number, kind in enumerate(kinds, start=1):
        axis = figure.add_subplot(1, 2, number)
        axis.plot([0.2, 1], [0.2, 1], color="0.7")
        for colour, (name, here) in enumerate(scenes.items()):
            q = found[name][kind]
            bins = np.minimum((q * BINS).astype(int), BINS - 1)
            count = np.bincount(bins, minlength=BINS)
            known = count > PIXELS // 200
            sure = np.bincount(bins, q, BINS)[known] / count[known]
            right = np.bincount(bins, here.right, BINS)[known] / count[known]
            axis.plot(sure, right, marker=".", label=name, color=colormaps["tab20"](colour))
        title = "as it is" if kind == kinds[0] else f"{kind}, fitted on the other scenes"
        axis.set(title=title, xlabel="confidence", ylabel="share that is right")
    axis.legend(fontsize=7)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    given = parser(__doc__)
    given.add_argument("folder", type=Path, help="folder of scenes and runs, which are kept")
    given.add_argument("--words", nargs="*", default=[], help="changes of the configuration")
    given.add_argument("--diagram", type=Path, help="picture of the reliability diagrams")
    chosen = given.parse_args()
    main(chosen.folder, chosen.words, chosen.diagram)
