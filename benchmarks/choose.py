"""Which configuration may be a default: variants on all scenes with truth, judged by one rule.

A variant is a name and changes of the configuration that a newcomer copies (own_files.yaml), as on
the command line:

    python benchmarks/choose.py --variant "no refinement:weak_labels.refinement=null"
        --variant "half kept:weak_labels.refinement.keep=0.5 student.rounds=3"
    python benchmarks/choose.py --grid "weak_labels.refinement.keep=0.1,0.5,2"

Those of --named are there by name. Each is compared with the plain alternative: the engine
`evidence`, p(class | NLCD) as given, no spectral indices; engine against engine, and student
against the same student. The rule stands in benchmarks/choosing.py, the scenes in
benchmarks/choosing_scenes.py. Every table is printed twice, the second time without Austin.

What is kept of an earlier version stays in the table: --write notes which scores a table was made
of, and --read adds the rows of such a note.

Maps are kept in the folder of --cache, which is a setting: a table printed again, or with one more
variant, costs only what is new.
"""

import argparse
import json
import shlex
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from choosing import Gain, Verdict, counted_classes, gain, leave_one_out, verdict
from choosing_runs import Variant, kept, opened, takes_part
from choosing_scenes import TruthScene, truth_scenes
from words import parser

from landcover_pnp.errors import LandcoverWarning
from landcover_pnp.evaluation.scores import Scores
from landcover_pnp.legend import WORKING

PLAIN = Variant(
    "plain evidence",
    (
        "inference.engine=evidence",
        "inference.evidence.spectral_indices=false",
        "inference.evidence.smooth_px=0",
        "weak_labels.refinement=null",
        "student.spectral_indices=false",
    ),
)

NAMED = {
    v.name: v
    for v in (
        Variant("default", ()),
        Variant(
            "no indices",
            ("inference.evidence.spectral_indices=false", "student.spectral_indices=false"),
        ),
        Variant("no refinement", ("weak_labels.refinement=null",)),
        Variant(
            "all indices",
            ("inference.evidence.spectral_indices=true", "student.spectral_indices=true"),
        ),
        Variant("denoise", ("inference.engine=denoise",)),
    )
}
"""Variants that --named knows; `default` is the newcomer's configuration as it stands, the
others differ from it in what they are called by."""

Found = dict[str, dict[str, Scores]]
"""Scores by cell by variant and scene."""


def text_variant(text: str) -> Variant:
    """A variant from ``NAME:key=value ...``."""
    name, colon, words = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{text!r} is no NAME:key=value ...")
    return Variant(name.strip(), tuple(shlex.split(words)))


def grid_variants(text: str) -> list[Variant]:
    """A variant for each value of ``key=a,b,c``."""
    key, equals, values = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is no key=a,b,c")
    short = key.rpartition(".")[2]
    return [Variant(f"{short}={value}", (f"{key}={value}",)) for value in values.split(",")]


def print_scores(found: Found, scenes: Mapping[str, TruthScene]) -> None:
    """Accuracy / mean IoU by variant and scene, and their means."""
    real = [name for name, scene in scenes.items() if scene.kind == "real"]
    _row(["", *scenes, f"mean of {len(scenes)}", f"mean of {len(real)} real"])
    _row(["---", *["---:"] * (len(scenes) + 2)])
    for name, by_scene in found.items():
        whole = {s: Scores(by_scene[s].confusion.sum(axis=0), "five_classes") for s in scenes}
        pairs = {s: (x.accuracy, x.mean_iou) for s, x in whole.items()}
        cells = ["{:.3f} / {:.3f}".format(*pairs[s]) for s in scenes]
        for group in (scenes, real):
            sums = [sum(pairs[s][k] for s in group) / max(len(group), 1) for k in (0, 1)]
            cells.append("{:.3f} / {:.3f}".format(*sums))
        _row([name, *cells])


def print_gains(
    gains: Mapping[str, Mapping[str, Gain]], scenes: Mapping[str, TruthScene], *, cells: bool
) -> None:
    """Differences to the plain alternative, and what the rule says."""
    shown = list(scenes) if cells else []
    _row(["mean IoU against plain", *shown, "mean", "mean of real", "worst", "may be a default"])
    _row(["---", *["---:"] * (len(shown) + 3), "---"])
    for name, by_scene in gains.items():
        there = {s: g for s, g in by_scene.items() if s in scenes}
        every = verdict(there)
        real = verdict({s: g for s, g in there.items() if scenes[s].kind == "real"})
        parts = [_difference(there[s]) if s in there else "no part" for s in shown]
        worst = f"{every.worst} {_difference(there[every.worst])}" if every.worst else "none"
        _row([name, *parts, f"{every.mean:+.3f}", f"{real.mean:+.3f}", worst, _said(every)])


def print_left_out(gains: Mapping[str, Mapping[str, Gain]], scenes: Sequence[str]) -> None:
    """What is chosen without each scene, and what that is worth on it."""
    rows = leave_one_out(gains, scenes, PLAIN.name)
    _row(["left out", "chosen on the others", "mean IoU against plain there"])
    _row(["---", "---", "---:"])
    for row in rows:
        _row([row.scene, row.chosen, f"{row.difference:+.3f}"])
    _row(["mean", "", f"{sum(r.difference for r in rows) / max(len(rows), 1):+.3f}"])


def print_classes(found: Found, scenes: Mapping[str, TruthScene]) -> None:
    """Share of truth and map, and IoU, by class."""
    _row(["variant", "scene", *(f"{n}: truth / map / IoU" for n in WORKING.names)])
    _row(["---", "---", *["---:"] * len(WORKING.names)])
    for name, by_scene in found.items():
        for scene in scenes:
            whole = Scores(by_scene[scene].confusion.sum(axis=0), "five_classes")
            counts = whole.confusion[1:, 1:]
            shares = (counts.sum(axis=k) / max(counts.sum(), 1) for k in (1, 0))
            parts = zip(*shares, whole.iou, strict=True)
            _row([name, scene, *("{:.1%} / {:.1%} / {:.3f}".format(*part) for part in parts)])


def print_all(found: Found, scenes: Mapping[str, TruthScene], classes: bool) -> None:
    """All tables of engines, or of students."""
    plain = found[PLAIN.name]
    gains = {
        name: {s: gain(cells, plain[s]) for s, cells in by_scene.items() if cells is not plain[s]}
        for name, by_scene in found.items()
        if name != PLAIN.name
    }
    print_scores(found, scenes)
    rare = {
        s: [n for n, c in zip(WORKING.names, _counted(plain[s]), strict=True) if not c]
        for s in scenes
    }
    absent = "; ".join(f"{s}: {', '.join(names)}" for s, names in rare.items() if names)
    print(f"\nClasses that do not count below, rare or absent: {absent or 'none'}\n")
    print_gains(gains, scenes, cells=True)
    print()
    print_left_out(gains, list(scenes))
    if classes:
        print()
        print_classes(found, scenes)
    elsewhere = {name: scene for name, scene in scenes.items() if not scene.austin}
    if len(elsewhere) < len(scenes):
        print("\nWithout the scenes in Austin:\n")
        print_gains(gains, elsewhere, cells=False)
        print()
        print_left_out(gains, list(elsewhere))


def main(options: argparse.Namespace) -> None:
    """Maps what is not there yet, and prints the tables."""
    warnings.simplefilter("ignore", LandcoverWarning)
    options.cache.mkdir(parents=True, exist_ok=True)
    scenes = truth_scenes(options.cache)
    scenes = {name: scenes[name] for name in options.scenes or scenes}
    named = [NAMED[name] for name in options.named]
    grids = [v for grid in options.grid for v in grid]
    variants = [PLAIN, *named, *options.variant, *grids]
    files = {v.name: dict(_made(v, scenes, options.cache)) for v in variants}
    parts = {v.name: {s for s in scenes if takes_part(scenes[s], v, PLAIN)} for v in variants}
    for note in options.read:
        earlier = json.loads(note.read_text())
        files |= {n: {s: by[s]["file"] for s in scenes} for n, by in earlier.items()}
        parts |= {n: {s for s in scenes if by[s]["part"]} for n, by in earlier.items()}
    if options.write:
        rows = {
            name: {s: {"file": f, "part": s in parts[name]} for s, f in by_scene.items()}
            for name, by_scene in files.items()
            if name != PLAIN.name
        }
        options.write.write_text(json.dumps(rows, indent=1) + "\n")
    made = {n: {s: opened(options.cache / f) for s, f in by.items()} for n, by in files.items()}
    if options.told:
        for name, by_scene in made.items():
            for scene, k in by_scene.items():
                for text in k.told:
                    print(f"{name}, {scene}: {text}\n")
    print(
        "## Engine alone\n\ndp0 to dp3 have no NLCD: of a variant, its engine alone takes part.\n"
    )
    plain = made[PLAIN.name]
    engines = {
        name: {s: k.engine if s in parts[name] else plain[s].engine for s, k in by_scene.items()}
        for name, by_scene in made.items()
    }
    print_all(engines, scenes, options.classes)
    students: Found = {
        name: {s: k.student for s, k in by_scene.items() if k.student is not None}
        for name, by_scene in made.items()
    }
    students = {name: by_scene for name, by_scene in students.items() if by_scene}
    drawn = {name: scene for name, scene in scenes.items() if name in students.get(PLAIN.name, {})}
    if drawn:
        print("\n## With the student\n\ndp0 to dp3 have no NLCD and take no part.\n")
        print_all(students, drawn, options.classes)
    seconds = {name: sum(k.seconds for k in made[name].values()) for name in made}
    print("\nProcessor seconds: " + ", ".join(f"{n} {s:.0f}" for n, s in seconds.items()))


def _made(
    variant: Variant, scenes: Mapping[str, TruthScene], cache: Path
) -> Iterator[tuple[str, str]]:
    for name, scene in scenes.items():
        yield name, kept(cache, scene, variant.settings)
        print(f"{variant.name}: {name}", file=sys.stderr, flush=True)


def _counted(cells: Scores) -> list[bool]:
    return list(map(bool, counted_classes(cells.confusion.sum(axis=0))))


def _difference(g: Gain) -> str:
    d = g.difference
    return f"{d.value:+.3f} [{d.low:+.3f}, {d.high:+.3f}]" + (" **loses**" if g.loses else "")


def _said(v: Verdict) -> str:
    if v.allowed:
        return "yes"
    return "no: " + ("no gain" if not v.losers else "loses in " + ", ".join(v.losers))


def _row(cells: Sequence[str]) -> None:
    print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--variant", type=text_variant, action="append", default=[])
    options.add_argument("--grid", type=grid_variants, action="append", default=[])
    options.add_argument("--named", nargs="*", choices=list(NAMED), default=list(NAMED))
    options.add_argument("--scenes", nargs="*", help="only these; default: all")
    options.add_argument("--read", type=Path, action="append", default=[], help="of --write")
    options.add_argument("--write", type=Path, help="note which scores the table is made of")
    options.add_argument("--cache", type=Path, default=Path("data/choosing"), help="kept maps")
    options.add_argument("--classes", action="store_true", help="shares and IoU by class, too")
    options.add_argument("--told", action="store_true", help="what the maps' runs warned of, too")
    main(options.parse_args())
