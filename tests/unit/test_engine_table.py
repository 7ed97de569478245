"""docs/engines.md names every engine and every sampler, and its example runs."""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import torch

from landcover_pnp.inference import samplers
from landcover_pnp.inference.registry import OURS, engine_names, package_of

DOCUMENT = (Path(__file__).parents[2] / "docs" / "engines.md").read_text(encoding="utf-8")

MODELS = ("ClassifierGuided", "ClassifierFree", "Corrected")
"""Models made of others, for any sampler."""


def named() -> set[str]:
    """What the first column of the table of all engines and samplers names."""
    rows = DOCUMENT.partition("## All engines and samplers")[2].splitlines()
    return {name for row in rows for name in re.findall(r"^\| (?:engine )?`(\w+)`", row)}


def test_every_engine_and_sampler_stands_in_the_table() -> None:
    found = {name for name in engine_names() if package_of(name) == OURS} | set(MODELS)
    for info in pkgutil.iter_modules(samplers.__path__, f"{samplers.__name__}."):
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            own = getattr(value, "__module__", "") == info.name and not name.startswith("_")
            if (
                own
                and inspect.isfunction(value)
                and {"levels", "rates"} & {*inspect.signature(value).parameters}
            ):
                found.add(name)
    inner = {"descend", "require_start", "require_steps"}
    assert found - inner == named()
    assert len(found) > 15


def test_every_sampler_is_reached_from_the_public_door() -> None:
    import landcover_pnp as lc

    engines = {name for name in engine_names() if package_of(name) == OURS}
    assert (named() - engines) | {"algorithm1"} <= {*lc.samplers.__all__}
    assert all(getattr(lc.samplers, name).__doc__ for name in lc.samplers.__all__)


def test_every_sampler_has_the_one_signature() -> None:
    for name in ("ddpm", "ddim", "repaint", "replacement", "smc_diff", "ddrm", "dps", "sgld"):
        module = "repaint" if name == "replacement" else name
        function = getattr(importlib.import_module(f"{samplers.__name__}.{module}"), name)
        parameters = inspect.signature(function).parameters.values()
        first = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        assert first == ["model", "x", "levels", "noise"], name


def test_the_example_of_a_constraint_holds() -> None:
    [code] = re.findall(r"```python\n(import numpy as np\n.*?)```", DOCUMENT, re.DOTALL)
    exec(code, {})  # noqa: S102 (the document's own example, which ends with an assertion)


def test_the_example_of_samplers_runs() -> None:
    [code] = re.findall(r"```python\n(import torch\n.*?)```", DOCUMENT, re.DOTALL)
    names: dict[str, torch.Tensor] = {}
    exec(code, names)  # noqa: S102 (the document's own example)
    assert names["maps"].shape == (4, 32, 32)
    assert (names["maps"][:, :, :16] == 5).all()
