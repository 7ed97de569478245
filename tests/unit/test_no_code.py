"""No module of the package calls what turns data into code."""

import ast
import builtins
from collections.abc import Iterator
from pathlib import Path

import pytest

import landcover_pnp

PACKAGE = Path(landcover_pnp.__file__).parent

FORBIDDEN = (
    *("pickle.load", "pickle.loads", "pickle.Unpickler", "_pickle", "cPickle", "cloudpickle"),
    *("joblib", "dill", "shelve", "marshal", "skops", "jsonpickle"),
    *("pandas.read_pickle", "numpy.lib.format.read_array", "torch.hub", "torch.jit.load"),
    *("torch.package", "torch.serialization", "torch.utils.model_zoo", "runpy", "code"),
    *("yaml.load", "yaml.load_all", "yaml.full_load", "yaml.full_load_all", "yaml.unsafe_load"),
    *("yaml.unsafe_load_all", "yaml.Loader", "yaml.FullLoader", "yaml.UnsafeLoader"),
    *("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"),
    *("builtins.eval", "builtins.exec", "builtins.compile", "builtins.__import__"),
)
"""Names that nothing may refer to; those in them neither."""

WANTED = {
    "torch.load": ("weights_only", True),
    "numpy.load": ("allow_pickle", False),
    "shell": ("shell", False),
    "ckpt_path": ("weights_only", True),
    "from_pretrained": ("use_safetensors", True),
}
"""By function, method or keyword of a call: the keyword and value that it is safe with alone."""


def offences(source: str) -> Iterator[str]:
    """Lines of a module that could run code from data."""
    tree = ast.parse(source)
    origins = {
        alias.asname or alias.name.partition(".")[0]: name
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
        for name in [_origin(node, alias)]
    }
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [_origin(node, alias, whole=True) for alias in node.names]
        elif isinstance(node, (ast.Name, ast.Attribute)):
            names = [_dotted(node, origins)]
        else:
            names = []
        for name in names:
            if any(name == bad or name.startswith(f"{bad}.") for bad in FORBIDDEN):
                yield f"line {node.lineno}: {name}"  # type: ignore[attr-defined]
        if isinstance(node, ast.Call):
            yield from _wrong_keywords(node, _dotted(node.func, origins))


def _wrong_keywords(call: ast.Call, name: str) -> Iterator[str]:
    given = {k.arg: getattr(k.value, "value", ...) for k in call.keywords}
    for what, (keyword, value) in WANTED.items():
        concerned = what in (name, name.rpartition(".")[2], *given)
        if concerned and given.get(keyword, ...) is not value:
            yield f"line {call.lineno}: {name} without {keyword}={value}"
    if name.rpartition(".")[2] in ("load_from_checkpoint", "read_pickle", "to_pickle"):
        yield f"line {call.lineno}: {name}"


def _origin(node: ast.Import | ast.ImportFrom, alias: ast.alias, *, whole: bool = False) -> str:
    """Dotted name that an imported name stands for."""
    if isinstance(node, ast.ImportFrom):
        return f"{node.module}.{alias.name}"
    return alias.name if alias.asname or whole else alias.name.partition(".")[0]


def _dotted(node: ast.AST, origins: dict[str, str]) -> str:
    """``np.load`` -> ``numpy.load``, ``eval`` -> ``builtins.eval``; others begin with a dot."""
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, origins)}.{node.attr}"
    name = node.id if isinstance(node, ast.Name) else ""
    return origins.get(name, f"builtins.{name}" if hasattr(builtins, name) else f".{name}")


def test_no_module_runs_code_from_data() -> None:
    modules = sorted(PACKAGE.rglob("*.py"))
    assert len(modules) > 100
    found = [f"{m.relative_to(PACKAGE)}: {o}" for m in modules for o in offences(m.read_text())]
    assert not found


@pytest.mark.parametrize(
    "line",
    [
        "import pickle; pickle.load(f)",
        "import pickle as p; p.loads(b)",
        "from pickle import loads",
        "from pickle import Unpickler as U",
        "import pickle; f = pickle.loads",
        "def f():\n    import joblib\n    joblib.load(p)",
        "from joblib import load",
        "import dill",
        "import shelve",
        "import marshal",
        "import torch; torch.load(p)",
        "import torch; torch.load(p, weights_only=False)",
        "import torch as t; t.load(p, weights_only=flag)",
        "from torch import load; load(p)",
        "import numpy as np; np.load(p)",
        "import numpy as np; np.load(p, allow_pickle=True)",
        "import pandas as pd; pd.read_pickle(p)",
        "frame.to_pickle(p)",
        "eval(text)",
        "exec(text)",
        "import builtins; builtins.exec(text)",
        "f = eval",
        "import yaml; yaml.load(t)",
        "import yaml; yaml.load(t, Loader=yaml.FullLoader)",
        "from yaml import unsafe_load",
        "import subprocess; subprocess.run(c, shell=True)",
        "import subprocess; subprocess.run(c, shell=flag)",
        "import os; os.system(c)",
        "trainer.fit(m, d, ckpt_path=p)",
        "Model.load_from_checkpoint(p)",
        "Model.from_pretrained(p)",
    ],
)
def test_the_check_finds(line: str) -> None:
    assert list(offences(line))


@pytest.mark.parametrize(
    "line",
    [
        "import pickle\ntry: ...\nexcept pickle.UnpicklingError: ...",
        "network.eval()",
        "import re; re.compile(x)",
        "import yaml; yaml.safe_load(t)",
        "import json; json.load(f)",
        "import torch; torch.load(p, map_location='cpu', weights_only=True)",
        "import numpy as np; np.load(p, allow_pickle=False)",
        "trainer.fit(m, d, ckpt_path=p, weights_only=True)",
        "import subprocess; subprocess.run(c)",
    ],
)
def test_the_check_passes(line: str) -> None:
    assert not list(offences(line))
