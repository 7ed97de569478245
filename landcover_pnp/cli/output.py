"""How the command line speaks: answers to stdout, as text or as one JSON object, else stderr."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from landcover_pnp.config.addresses import hidden, shown
from landcover_pnp.errors import LandcoverError


def say(text: str) -> None:
    """Prints a result."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """Prints what went wrong, without the secrets of addresses in it."""
    sys.stderr.write(hidden(text) + "\n")


def say_fields(summary: Any) -> None:
    """Prints a stage's summary, a line a field."""
    for field in dataclasses.fields(summary):
        value = getattr(summary, field.name)
        if isinstance(value, dict):
            value = ", ".join(f"{name} {share:.3f}" for name, share in value.items())
        elif isinstance(value, tuple):
            value = " ".join(f"{item:.4f}" for item in value)
        elif isinstance(value, float):
            value = f"{value:.6g}"
        say(f"{field.name.replace('_', ' '):<16}{shown(str(value)) or value}")


def say_json(answer: Mapping[str, Any]) -> None:
    """Prints an answer as one JSON object in one line."""
    say(json.dumps(json_of(answer)))


def json_of(value: Any) -> Any:
    """A summary as JSON values.

    Args:
        value: A dataclass becomes an object of its fields and properties, or its text where it
            defines ``__str__``; arrays become lists; NaN and infinite numbers, which JSON does not
            have, become null; everything JSON has no word for, such as a path, becomes its text.

    Returns:
        What ``json.dumps`` takes.
    """
    if isinstance(value, LandcoverError):
        return error_fields(value)
    if dataclasses.is_dataclass(value) and type(value).__str__ is object.__str__:
        return {name: json_of(getattr(value, name)) for name in _names(value)}
    if isinstance(value, Mapping):
        return {str(name): json_of(part) for name, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [json_of(part) for part in value]
    if hasattr(value, "tolist"):  # arrays and scalars of numpy
        return json_of(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    plain = value is None or isinstance(value, (str, int))
    return value if plain else shown(str(value)) or str(value)


def error_fields(error: LandcoverError) -> dict[str, str]:
    """The parts of an error by name."""
    parts = {"found": hidden(error.found), "expected": error.expected, "fix": error.fix}
    return {"error": type(error).__name__, **parts}


@contextlib.contextmanager
def stdout_kept_clean() -> Iterator[None]:
    """What is printed meanwhile, also by child processes and C libraries, goes to stderr."""
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        kept = os.dup(1)
    except OSError:  # no stdout at all
        kept = None
    try:
        if kept is not None:
            with contextlib.suppress(OSError):
                os.dup2(2, 1)
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        if kept is not None:
            os.dup2(kept, 1)
            os.close(kept)


def _names(value: Any) -> list[str]:
    fields = [field.name for field in dataclasses.fields(value)]
    said = {
        name: None
        for kind in type(value).__mro__
        for name, part in vars(kind).items()
        if isinstance(part, property) and not name.startswith("_")
    }
    return [*fields, *(name for name in said if name not in fields)]
