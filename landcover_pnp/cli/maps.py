"""Commands about maps: the demo, a scene's check, its map, its scores."""

from __future__ import annotations

import shlex
import sys
import webbrowser
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from landcover_pnp.cli.command import Command, Request, itself
from landcover_pnp.cli.output import complain, say
from landcover_pnp.config.addresses import shown
from landcover_pnp.pipeline.settings import (
    BatchSettings,
    DemoSettings,
    EvaluateSettings,
    FillMapSettings,
    MapSettings,
)


def _demo(request: Request) -> Any:
    from landcover_pnp.pipeline.demo import run_demo

    return with_progress(lambda report: run_demo(request.settings, report))


def _map(request: Request) -> Any:
    from landcover_pnp.pipeline.map import map_city
    from landcover_pnp.pipeline.run_settings import require_same_request

    named = request.options["run"]
    run = named or Path("runs") / request.path.stem
    if named is None and "replace" not in request.flags:
        require_same_request(run, request.settings)
    summary = with_progress(lambda report: map_city(request.settings, run, report))
    _publish(request, [run] if summary.exit_code in MAPPED else [])
    return summary


MAPPED = (0, 3)
"""Exit codes of a run with a map."""


def _publish(request: Request, runs: Iterable[Path]) -> None:
    """Makes the products of runs, where the command is asked to."""
    if "publish" in request.flags:
        from landcover_pnp.pipeline.publish import publish

        for run in runs:
            publish(run)


def with_progress(work: Callable[[Any], Any]) -> Any:
    """Carries out a map run with its progress shown."""
    from rich.console import Console

    from landcover_pnp.pipeline.progress import TileProgress

    with TileProgress(Console()) as progress:
        return work(progress)


def show_map(summary: Any) -> None:
    """Prints the summary of a map run."""
    from landcover_pnp.evaluation.scores import short_table
    from landcover_pnp.storage.newest import has_outdated_corrections
    from landcover_pnp.storage.run_folder import RunFolder
    from landcover_pnp.storage.run_status import outdated_products

    for name, reason in summary.reasons.items():
        complain(f"tile {name} is no data in the map: {reason}")
    done = summary.progress
    say(
        f"\n{summary.area_km2:.2f} km2, {done.total} tiles ({done.kept} kept, {done.failed} "
        f"failed) in {summary.seconds:.0f} s"
    )
    if summary.scores:
        say("\n" + short_table(summary.scores) + "\n")
    _show_areas(summary.areas)
    doubt = summary.doubt
    say(f"{doubt.share:.1%} of the map is doubtful: its sources contradict each other there")
    for path in summary.products:
        say(f"{path.stem:<12} {path}")
    say(f"overview     {summary.overview}")
    if has_outdated_corrections(RunFolder(summary.run)):
        say(f"its corrections are of an earlier map: `landcover correct {summary.run} EDITS` again")
    publish = shlex.join(["landcover", "publish", str(summary.run)])
    if RunFolder(summary.run).published_record.is_file() and not outdated_products(summary.run):
        products = RunFolder(summary.run).products
        say(f"\npublished    {products}: landcover.qgz for QGIS, report.html")
    elif outdated_products(summary.run):
        say(f"\nproducts/ shows an earlier map; {publish} makes it again")
    else:
        say(f"\nfor QGIS, and a report: {publish}")


def _show_demo(summary: Any) -> None:
    show_map(summary)
    say(f"\nThe profiles, `landcover map --profile WORD`:\n\n{summary.table()}\n")
    _offer(summary.report)


def _offer(report: Path) -> None:
    """Offers to open a page in the browser, to a person at a terminal."""
    address = report.resolve().as_uri()
    if sys.stdin.isatty() and sys.stdout.isatty():
        with suppress(EOFError):
            if input("Open the report in the browser? [y/N] ").strip().lower() in ("y", "yes"):
                webbrowser.open(address)
    else:
        say(f"the report: {report}")


def _batch(request: Request) -> Any:
    from landcover_pnp.pipeline.batch import map_cities
    from landcover_pnp.pipeline.progress import CityProgress

    summary = map_cities(request.settings, CityProgress(say), strict=request.strict)
    maps = [Path(city.landcover).parent for city in summary.cities if city.landcover]
    _publish(request, maps)
    return summary


def _show_batch(summary: Any) -> None:
    for city in summary.cities:
        say(f"{city.city}: {city.landcover or city.reason}")
    say(f"table of all cities: {summary.table}")


def _evaluate(request: Request) -> Any:
    from landcover_pnp.pipeline.evaluate import Evaluation

    return Evaluation.of(request.path, request.settings)


def _show_evaluation(evaluation: Any) -> None:
    from landcover_pnp.evaluation.scores import table
    from landcover_pnp.evaluation.shape_scores import shape_table

    mapped = evaluation.scores["map"]
    say(
        f"{evaluation.run} against {evaluation.truth}: {mapped.pixels} truth pixels, scoring "
        f"scheme {evaluation.scheme}, {mapped.unmapped:.2%} of the truth without a map\n"
    )
    say(table(evaluation.scores))
    for note in evaluation.notes:
        say(note)
    if evaluation.shapes:
        say("\n" + shape_table(evaluation.shapes))


def _check(request: Request) -> Any:
    from landcover_pnp.pipeline.check import check_map

    return check_map(request.settings)


def _show_check(check: Any) -> None:
    for report in check.layers:
        say(f"{report.layer}: {shown(report.path) or report.path}\n  {report.found}")
        if report.error:
            say("  " + str(report.error).replace("\n", "\n  "))
    if check.plan is not None:
        say("\n  ".join([f"map: {check.plan}", *check.notes]))
    if check.unusable:
        say(f"not usable: {', '.join(check.unusable)}")
    if check.refusal is not None:
        complain(f"landcover check: {check.refusal}")
    else:
        say("the rest can be mapped" if check.unusable else "all inputs can be used")


def _fill(request: Request) -> Any:
    from landcover_pnp.pipeline.fill import fill_map

    return with_progress(lambda report: fill_map(request.path, request.settings, report))


def _show_filled(filled: Any) -> None:
    say(
        f"{filled.filled_px} pixels filled, {filled.hectares:,.2f} ha, {filled.share:.1%} of the "
        "map; all others are as they were"
    )
    for name, hectares in filled.classes_ha.items():
        say(f"  {name}: {hectares:,.2f} ha")
    _show_areas(filled.areas)
    say(f"map          {filled.map}\nfilled       {filled.layer}")


def _show_areas(areas: Any) -> None:
    """Prints areas with the intervals of posterior samples, if there are any."""
    if areas is None:
        return
    say(f"hectares by class, and the {areas.title}:")
    for name, area in areas.classes.items():
        interval = f"{area.low_ha:,.2f} to {area.high_ha:,.2f}"
        say(f"  {name:<22} {area.mapped_ha:>12,.2f}   {interval}")


COMMANDS = {
    "demo": Command(
        _demo,
        DemoSettings,
        (),
        "Draw a synthetic city, map it by every profile and score the maps.",
        show=_show_demo,
    ),
    "map": Command(
        _map,
        MapSettings,
        ("CONFIG",),
        "Map the scene of a configuration file.",
        {"run": "run folder (default: runs/<name of CONFIG>)"},
        {
            "replace": "make a map of other settings in the default run folder again",
            "publish": "make the products of the map too",
        },
        show=show_map,
        config=itself,
    ),
    "batch": Command(
        _batch,
        BatchSettings,
        ("CONFIG",),
        "Map many cities, one run folder each, one table for all.",
        flags={"publish": "make the products of each map too"},
        show=_show_batch,
        config=itself,
    ),
    "fill": Command(
        _fill,
        FillMapSettings,
        ("MAP",),
        "Fill masked pixels of a class map, such as clouds, by a prior over label maps.",
        show=_show_filled,
    ),
    "check": Command(
        _check,
        MapSettings,
        ("CONFIG",),
        "Plan a map and read every pixel of its inputs: what would `map` refuse?",
        show=_show_check,
        config=itself,
    ),
    "evaluate": Command(
        _evaluate,
        EvaluateSettings,
        ("RUN",),
        "Score the map in a run folder against truth, beside weak labels and evidence.",
        show=_show_evaluation,
    ),
}
