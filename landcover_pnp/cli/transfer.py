"""Commands about transfer: students in a city, one city's labels in others."""

from __future__ import annotations

from pathlib import Path

from landcover_pnp.cli.command import Command, arguments, say, say_fields
from landcover_pnp.config import load_settings
from landcover_pnp.pipeline.transfer.settings import TransferSettings
from landcover_pnp.student.settings import StudentSettings


def _train_student(words: list[str]) -> int:
    first, _, rest = arguments("RUN", words)
    runs = [Path(first)]
    while rest and not rest[0].startswith("-"):
        runs.append(Path(rest.pop(0)))
    settings = load_settings(StudentSettings, overrides=rest)
    from landcover_pnp.pipeline.train_student import train_student

    say_fields(train_student(settings, runs))
    return 0


def _transfer(words: list[str]) -> int:
    config, options, rest = arguments("CONFIG", words, run=None)
    settings = load_settings(TransferSettings, Path(config), rest)
    from landcover_pnp.pipeline.transfer.stage import run_transfer

    run = Path(options["run"] or Path("runs") / f"transfer_{Path(config).stem}")
    summary = run_transfer(settings, run, say)
    say("\n" + summary.table.read_text(encoding="utf-8"))
    say_fields(summary)
    return summary.exit_code


COMMANDS = {
    "train-student": Command(
        _train_student,
        StudentSettings,
        "RUN [RUN ...]",
        "Train an image model on a city's map runs and map their area with it at full resolution.",
    ),
    "transfer": Command(
        _transfer,
        TransferSettings,
        "CONFIG",
        "Map cities with another city's labels by every method, and score the maps.",
        {"run": "run folder (default: runs/transfer_<name of CONFIG>)"},
    ),
}
