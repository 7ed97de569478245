"""Commands about accuracy: doubtful places, a sample to be labelled, what the labels say."""

from __future__ import annotations

import math
from typing import Any

from landcover_pnp.cli.command import Command, Request
from landcover_pnp.cli.output import say
from landcover_pnp.products.settings import AssessSettings, DoubtfulSettings, SampleSettings
from landcover_pnp.storage.run_folder import RunFolder


def _doubt(request: Request) -> Any:
    _require_map(request)
    from landcover_pnp.pipeline.doubt_stage import write_doubtful

    return write_doubtful(request.path, request.settings)


def _show_doubt(summary: Any) -> None:
    for note in summary.notes:
        say(note)
    say(f"{summary.places} places, most doubtful first, with pictures beside them\n{summary.layer}")


def _sample(request: Request) -> Any:
    _require_map(request)
    from landcover_pnp.products.sample import write_sample

    return write_sample(request.path, request.settings)


def _show_sample(summary: Any) -> None:
    for name, count in summary.points.items():
        say(f"{count:>6} points in {name}")
    say(
        f"{summary.sample}\nfill in its column `class` by hand, for example in QGIS, which offers "
        f"the names; then `landcover assess {summary.run} {summary.sample}`"
    )


def _assess(request: Request) -> Any:
    _require_map(request)
    from landcover_pnp.products.assessment import assess_run

    run, sample = request.arguments
    return assess_run(run, sample, request.settings.csv)


def _show_assessment(assessment: Any) -> None:
    names = [name.split(" ")[0] for name in assessment.classes]
    if assessment.left_out_ha:
        say(
            f"{assessment.left_out} points and {assessment.left_out_ha:,.2f} ha were corrected by "
            "hand and are left out: the estimates are of the rest of the map\n"
        )
    say("points, map class by row, reference class by column:\n")
    say(" " * 12 + "".join(f"{name:>12}" for name in names))
    for name, counts in zip(names, assessment.counts, strict=True):
        say(f"{name:<12}" + "".join(f"{n:>12}" for n in counts))
    say(f"\noverall accuracy {_shown(assessment.overall_accuracy)}, 95 % interval\n")
    say(f"{'':<12}{'user':>16}{'producer':>16}{'mapped ha':>14}{'area ha':>24}")
    for name, short in zip(assessment.classes, names, strict=True):
        area = assessment.area_ha[name]
        say(
            f"{short:<12}{_shown(assessment.users_accuracy[name]):>16}"
            f"{_shown(assessment.producers_accuracy[name]):>16}"
            f"{assessment.mapped_ha[name]:>14,.2f}"
            f"{f'{area.value:,.2f} +- {area.half_width:,.2f}':>24}"
        )


def _shown(estimate: Any) -> str:
    if not math.isfinite(estimate.value):
        return "-"
    return f"{estimate.value:.3f} +- {estimate.half_width:.3f}"


def _require_map(request: Request) -> None:
    """Says that there is no map before the rest is loaded."""
    from landcover_pnp.storage.user_files import require_file

    expected = "the folder of a run that `landcover map` has finished"
    require_file(RunFolder(request.path).landcover, "the map of the run", expected)


COMMANDS = {
    "doubt": Command(
        _doubt,
        DoubtfulSettings,
        ("RUN",),
        "List the places of a map that are most worth a look, with pictures; to RUN/doubtful.",
        show=_show_doubt,
    ),
    "sample": Command(
        _sample,
        SampleSettings,
        ("RUN",),
        "Draw points of a map at random, to be labelled by hand; to RUN/samples.",
        show=_show_sample,
    ),
    "assess": Command(
        _assess,
        AssessSettings,
        ("RUN", "SAMPLE"),
        "Estimate a map's accuracy and the areas on the ground from a labelled sample.",
        show=_show_assessment,
    ),
}
