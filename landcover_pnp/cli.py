"""The command line: one command a stage; nothing heavy is imported before it is needed."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from landcover_pnp import __version__
from landcover_pnp.configuration import load_settings, settings_parser
from landcover_pnp.errors import LandcoverError, LandcoverWarning, SettingsError, nearest
from landcover_pnp.settings import (
    DemoSettings,
    EvaluateSettings,
    MapSettings,
    SamplePriorSettings,
    TrainPriorSettings,
)

INTERRUPTED = 130
"""Exit code after Ctrl-C."""


def main(words: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        words: Command-line words without the program's name; None takes the process's own.

    Returns:
        Exit code: 0 done, 1 failed, 2 bad request, 3 partly done, 130 interrupted.
    """
    name, *rest = list(sys.argv[1:] if words is None else words) or ["--help"]
    if name in ("-h", "--help"):
        _say(_overview())
        return 0
    if name == "--version":
        _say(f"landcover-pnp {__version__}")
        return 0
    command = COMMANDS.get(name)
    strict = "--strict" in rest
    try:
        if command is None:
            raise SettingsError(
                found=f"unknown command {name!r}",
                expected="one of " + ", ".join(COMMANDS),
                way_out=nearest(name, COMMANDS),
            )
        if "-h" in rest or "--help" in rest:
            _say(command.help(name))
            return 0
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            warnings.simplefilter("error" if strict else "always", LandcoverWarning)
            return command.run([word for word in rest if word != "--strict"])
    except LandcoverError as error:
        _complain(f"landcover {name}: {error}")
        return error.exit_code
    except LandcoverWarning as warning:
        _complain(f"landcover {name}: {warning} (a warning, and --strict was given)")
        return SettingsError.exit_code
    except KeyboardInterrupt:
        _complain(f"interrupted; finished tiles are kept. Resume: {_quoted(name, rest)}")
        return INTERRUPTED


def _demo(words: list[str]) -> int:
    settings = load_settings(DemoSettings, overrides=words)
    from landcover_pnp.demo import run_demo

    return _show_map(lambda report: run_demo(settings, report))


def _map(words: list[str]) -> int:
    config, options, rest = _arguments("CONFIG", words, run=None)
    settings = load_settings(MapSettings, Path(config), rest)
    from landcover_pnp.mapping import map_city

    run = Path(options["run"] or Path("runs") / Path(config).stem)
    return _show_map(lambda report: map_city(settings, run, report))


def _evaluate(words: list[str]) -> int:
    run, _, rest = _arguments("RUN", words)
    settings = load_settings(EvaluateSettings, overrides=rest)
    from landcover_pnp.evaluation import table
    from landcover_pnp.mapping import evaluate_run
    from landcover_pnp.settings import TruthFile

    truth = TruthFile(settings.truth, settings.legend)
    scores = evaluate_run(Path(run), truth, settings.protocol, overlap=settings.overlap)
    mapped = scores["map"]
    _say(
        f"{run} against {settings.truth}: {mapped.pixels} truth pixels, protocol "
        f"{settings.protocol}, {mapped.unmapped:.2%} of the truth without a map\n"
    )
    _say(table(scores))
    return 0


def _check(words: list[str]) -> int:
    config, _, rest = _arguments("CONFIG", words)
    settings = load_settings(MapSettings, Path(config), rest)
    from landcover_pnp.sources.checks import check_scene
    from landcover_pnp.sources.enviroatlas import scene_files

    reports = check_scene(scene_files(settings.scene), settings.scene.resolution_m)
    for report in reports:
        _say(f"{report.layer}: {report.path}\n  {report.found}")
        if report.error:
            _say("  " + str(report.error).replace("\n", "\n  "))
    wrong = [report.layer for report in reports if report.error]
    _say(f"not usable: {', '.join(wrong)}" if wrong else "all inputs can be used")
    return 2 if wrong else 0


def _train_prior(words: list[str]) -> int:
    config, _, rest = _arguments("CONFIG", words)
    settings = load_settings(TrainPriorSettings, Path(config), rest)
    from landcover_pnp.prior.training import train_prior

    _say_fields(train_prior(settings))
    return 0


def _sample_prior(words: list[str]) -> int:
    settings = load_settings(SamplePriorSettings, overrides=words)
    from landcover_pnp.prior.sampling import sample_prior

    _say_fields(sample_prior(settings))
    return 0


class Command(NamedTuple):
    """One command of the command line.

    Attributes:
        run: Carries it out, given its words; returns the exit code.
        settings: Dataclass of its options.
        argument: Name of its argument, empty for none.
        summary: One sentence of help.
    """

    run: Callable[[list[str]], int]
    settings: type[Any]
    argument: str
    summary: str

    def help(self, name: str) -> str:
        """The help text: usage, every option with its meaning, type and default."""
        usage = " ".join(filter(None, ["landcover", name, self.argument, "[--KEY VALUE ...]"]))
        parser = settings_parser(self.settings, prog=f"landcover {name}", usage=usage)
        parser.description = self.summary
        if self.argument == "CONFIG":
            parser.epilog = "The keys may stand in the YAML file CONFIG too; options win."
        if self.run is _map:
            parser.add_argument("--run", help="run folder (default: runs/<name of CONFIG>)")
        parser.add_argument("--strict", action="store_true", help="treat warnings as errors")
        return str(parser.format_help())


COMMANDS = {
    "demo": Command(_demo, DemoSettings, "", "Draw a synthetic city, map it and score the map."),
    "map": Command(_map, MapSettings, "CONFIG", "Map the scene of a configuration file."),
    "check": Command(
        _check, MapSettings, "CONFIG", "Read every pixel of a scene's inputs and report."
    ),
    "evaluate": Command(
        _evaluate,
        EvaluateSettings,
        "RUN",
        "Score the map in a run folder against truth, beside weak labels and evidence.",
    ),
    "train-prior": Command(
        _train_prior, TrainPriorSettings, "CONFIG", "Train a diffusion prior over label maps."
    ),
    "sample-prior": Command(
        _sample_prior, SamplePriorSettings, "", "Picture of a prior's samples beside real crops."
    ),
}


def _overview() -> str:
    lines = [f"  {name:<14}{command.summary}" for name, command in COMMANDS.items()]
    return (
        "usage: landcover COMMAND ...\n\n"
        "Land-cover maps of whole cities from aerial imagery and coarse public labels.\n\n"
        + "\n".join(lines)
        + "\n\n`landcover COMMAND --help` lists a command's options."
    )


def _arguments(
    name: str, words: list[str], **options: str | None
) -> tuple[str, dict[str, Any], list[str]]:
    """The command's one argument, its own options, and the words left for the settings."""
    if not words or words[0].startswith("-"):
        raise SettingsError(
            found=f"no {name}" + (f" before {words[0]}" if words else ""),
            expected=f"{name} as the command's first word",
            way_out="see --help",
        )
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for option, default in options.items():
        parser.add_argument(f"--{option}", default=default)
    own, rest = parser.parse_known_args(words[1:])
    return words[0], vars(own), rest


def _show_map(work: Callable[[Any], Any]) -> int:
    from rich.console import Console

    from landcover_pnp.evaluation import short_table
    from landcover_pnp.progress import TileProgress

    with TileProgress(Console()) as progress:
        summary = work(progress)
    for name, reason in summary.reasons.items():
        _complain(f"tile {name} is no data in the map: {reason}")
    done = summary.progress
    _say(
        f"\n{summary.area_km2:.2f} km2, {done.total} tiles ({done.kept} kept, {done.failed} "
        f"failed) in {summary.seconds:.0f} s"
    )
    if summary.scores:
        _say("\n" + short_table(summary.scores) + "\n")
    for path in summary.products:
        _say(f"{path.stem:<12} {path}")
    _say(f"overview     {summary.overview}")
    return int(summary.exit_code)


def _quoted(name: str, rest: list[str]) -> str:
    import shlex

    return shlex.join(["landcover", name, *rest])


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    _complain(f"warning: {message}")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _say_fields(summary: Any) -> None:
    for field in dataclasses.fields(summary):
        value = getattr(summary, field.name)
        if isinstance(value, dict):
            value = ", ".join(f"{name} {share:.3f}" for name, share in value.items())
        elif isinstance(value, tuple):
            value = " ".join(f"{item:.4f}" for item in value)
        _say(f"{field.name.replace('_', ' '):<16}{value}")


def _complain(text: str) -> None:
    sys.stderr.write(text + "\n")
