"""Commands about maps: the demo, a scene's check, its map, its scores."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from landcover_pnp.cli.command import Command, arguments, complain, given, is_strict, say
from landcover_pnp.config import load_settings
from landcover_pnp.pipeline.settings import (
    BatchSettings,
    DemoSettings,
    EvaluateSettings,
    MapSettings,
)


def _demo(words: list[str]) -> int:
    settings = load_settings(DemoSettings, overrides=words)
    from landcover_pnp.pipeline.demo import run_demo

    return show_map(lambda report: run_demo(settings, report))


def _map(words: list[str]) -> int:
    config, options, rest = arguments("CONFIG", words, run=None)
    settings = load_settings(MapSettings, Path(config), rest)
    from landcover_pnp.pipeline.map import map_city

    run = Path(options["run"] or Path("runs") / Path(config).stem)
    return show_map(lambda report: map_city(settings, run, report))


def _batch(words: list[str]) -> int:
    config, _, rest = arguments("CONFIG", words)
    settings = load_settings(BatchSettings, Path(config), rest)
    from landcover_pnp.pipeline.batch import map_cities
    from landcover_pnp.pipeline.progress import CityProgress

    summary = map_cities(settings, CityProgress(say), strict=is_strict())
    for city in summary.cities:
        say(f"{city.city}: {city.landcover or city.reason}")
    say(f"table of all cities: {summary.table}")
    return summary.exit_code


def _evaluate(words: list[str]) -> int:
    (run,), settings = given("RUN", words, EvaluateSettings)
    from landcover_pnp.evaluation.scores import table
    from landcover_pnp.pipeline.map import evaluate_run
    from landcover_pnp.scenes.settings import TruthFile

    truth = TruthFile(settings.truth, settings.legend)
    scores = evaluate_run(run, truth, settings.scheme, overlap=settings.overlap)
    mapped = scores["map"]
    say(
        f"{run} against {settings.truth}: {mapped.pixels} truth pixels, scoring scheme "
        f"{settings.scheme}, {mapped.unmapped:.2%} of the truth without a map\n"
    )
    say(table(scores))
    return 0


def _check(words: list[str]) -> int:
    config, _, rest = arguments("CONFIG", words)
    settings = load_settings(MapSettings, Path(config), rest)
    from landcover_pnp.pipeline.check import check_map

    check = check_map(settings)
    for report in check.layers:
        say(f"{report.layer}: {report.path}\n  {report.found}")
        if report.error:
            say("  " + str(report.error).replace("\n", "\n  "))
    if check.plan is not None:
        say("\n  ".join([f"map: {check.plan}", *check.notes]))
    if check.unusable:
        say(f"not usable: {', '.join(check.unusable)}")
    if check.refusal is not None:
        raise check.refusal
    say("the rest can be mapped" if check.unusable else "all inputs can be used")
    return check.exit_code


def show_map(work: Callable[[Any], Any]) -> int:
    """Carries out a map run with its progress shown, and prints its summary."""
    from rich.console import Console

    from landcover_pnp.evaluation.scores import short_table
    from landcover_pnp.pipeline.progress import TileProgress

    with TileProgress(Console()) as progress:
        summary = work(progress)
    for name, reason in summary.reasons.items():
        complain(f"tile {name} is no data in the map: {reason}")
    done = summary.progress
    say(
        f"\n{summary.area_km2:.2f} km2, {done.total} tiles ({done.kept} kept, {done.failed} "
        f"failed) in {summary.seconds:.0f} s"
    )
    if summary.scores:
        say("\n" + short_table(summary.scores) + "\n")
    for path in summary.products:
        say(f"{path.stem:<12} {path}")
    say(f"overview     {summary.overview}")
    say(f"\nfor QGIS, and a report: {shlex.join(['landcover', 'publish', str(summary.run)])}")
    return int(summary.exit_code)


COMMANDS = {
    "demo": Command(_demo, DemoSettings, "", "Draw a synthetic city, map it and score the map."),
    "map": Command(
        _map,
        MapSettings,
        "CONFIG",
        "Map the scene of a configuration file.",
        {"run": "run folder (default: runs/<name of CONFIG>)"},
    ),
    "batch": Command(
        _batch, BatchSettings, "CONFIG", "Map many cities, one run folder each, one table for all."
    ),
    "check": Command(
        _check,
        MapSettings,
        "CONFIG",
        "Plan a map and read every pixel of its inputs: what would `map` refuse?",
    ),
    "evaluate": Command(
        _evaluate,
        EvaluateSettings,
        "RUN",
        "Score the map in a run folder against truth, beside weak labels and evidence.",
    ),
}
