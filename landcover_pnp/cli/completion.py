"""Completion of commands, options and words by the shell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from landcover_pnp.cli.command import Command, Request
from landcover_pnp.cli.output import say
from landcover_pnp.cli.program import Program
from landcover_pnp.pipeline.settings import NoSettings

Shell = Literal["bash", "zsh", "tcsh"]


@dataclass(frozen=True)
class Completion:
    """A completion script.

    Attributes:
        shell: The shell it is for.
        script: Its text.
    """

    shell: Shell
    script: str


def _completion(request: Request) -> Completion:
    from landcover_pnp.cli.main import COMMANDS

    (shell,) = request.arguments
    program = Program(COMMANDS, COMMANDS, everything=True)
    return Completion(shell, program.parser.get_completion_script(f"shtab-{shell}"))


COMMANDS = {
    "completion": Command(
        _completion,
        NoSettings,
        ("SHELL",),
        "Print a script by which the shell completes commands, options and their words.",
        show=lambda completion: say(completion.script),
        kind=Shell,
    )
}
