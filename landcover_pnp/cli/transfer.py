"""Commands about transfer: students in a city, one city's labels in others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from landcover_pnp.cli.command import Command, Request, itself
from landcover_pnp.cli.output import say, say_fields
from landcover_pnp.pipeline.transfer.settings import TransferSettings
from landcover_pnp.student.settings import StudentSettings


def _train_student(request: Request) -> Any:
    from landcover_pnp.pipeline.train_student import train_student

    return train_student(request.settings, request.arguments)


def _transfer(request: Request) -> Any:
    from landcover_pnp.pipeline.transfer.stage import run_transfer

    run = request.options["run"] or Path("runs") / f"transfer_{request.path.stem}"
    return run_transfer(request.settings, run, say)


def _show_transfer(summary: Any) -> None:
    say("\n" + summary.table.read_text(encoding="utf-8"))
    say_fields(summary)


COMMANDS = {
    "train-student": Command(
        _train_student,
        StudentSettings,
        ("RUN [RUN ...]",),
        "Train an image model on a city's map runs and map their area with it at full resolution.",
    ),
    "transfer": Command(
        _transfer,
        TransferSettings,
        ("CONFIG",),
        "Map cities with another city's labels by every method, and score the maps.",
        {"run": "run folder (default: runs/transfer_<name of CONFIG>)"},
        show=_show_transfer,
        config=itself,
    ),
}
