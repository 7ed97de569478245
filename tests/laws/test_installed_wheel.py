"""The wheel in an environment of its own, with the newest and with the oldest allowed packages."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from distributions import ROOT, built, copied_source

pytestmark = pytest.mark.laws

UV = Path(sys.executable).with_name("uv")

ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
    # What pip is told, where uv has not been told otherwise: a CPU's torch may lie there.
    "UV_FIND_LINKS": os.environ.get("UV_FIND_LINKS", os.environ.get("PIP_FIND_LINKS", "")),
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = copied_source(tmp_path_factory.mktemp("source"))
    return built(source, "wheel", tmp_path_factory.mktemp("dist"))


def _run(folder: Path, *command: str | Path) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _asked(python: Path, *options: str | Path) -> list[str | Path]:
    """An installation by uv, with the torch of this environment: others take gigabytes."""
    (python.parents[2] / "torch.txt").write_text(f"torch=={version('torch')}\n", encoding="utf-8")
    return [UV, "pip", "install", "--python", python, "--constraint", "torch.txt", *options]


def _environment(folder: Path) -> Path:
    """The interpreter of a new environment, or a skip where uv cannot reach the packages."""
    if not UV.exists():
        pytest.skip("no uv beside this interpreter")
    _run(folder, UV, "venv", "--python", sys.executable, "env")
    python = folder / "env" / "bin" / "python"
    probe = subprocess.run(
        _asked(python, "--dry-run", "torch"),
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    if probe.returncode:
        pytest.skip(f"uv cannot get this environment's torch: {probe.stderr.strip()}")
    return python


def _command(python: Path, folder: Path, *words: str) -> Any:
    return json.loads(_run(folder, python.with_name("landcover"), *words, "--json"))


@pytest.mark.parametrize("packages", ["newest", "oldest"])
def test_it_maps_and_publishes_the_demo(packages: str, wheel: Path, tmp_path: Path) -> None:
    python = _environment(tmp_path)
    if packages == "oldest":
        floors = ("--resolution", "lowest-direct", "-r", ROOT / "pyproject.toml")
        _run(tmp_path, *_asked(python, *floors))
        _run(tmp_path, *_asked(python, "--no-deps", wheel))
    else:
        _run(tmp_path, *_asked(python, wheel))
    _run(tmp_path, UV, "pip", "check", "--python", python)
    where = _run(tmp_path, python, "-c", "import landcover_pnp as lc; print(lc.__file__)")
    assert Path(where.strip()).is_relative_to(tmp_path)

    demo = _command(python, tmp_path, "demo", "--city.width_m", "256", "--window_m", "64")
    assert demo["exit_code"] == 0
    assert (tmp_path / "demo/run/products/landcover.qgz").exists()
    mapped = (
        "map",
        "demo/cities/source.yaml",
        "--profile",
        "fast",
        "--run",
        "own",
        "--workers",
        "0",
    )
    assert _command(python, tmp_path, *mapped)["exit_code"] == 0
    assert _command(python, tmp_path, "publish", "own")["exit_code"] == 0
    assert (tmp_path / "own/products/report.html").exists()
    assert _command(python, tmp_path, "qgis-plugin", "--out", "plugins")["exit_code"] == 0
    script = _run(tmp_path, python.with_name("landcover"), "completion", "bash")
    assert "--student.forest.trees" in script


def test_it_is_a_tool(wheel: Path, tmp_path: Path) -> None:
    python = _environment(tmp_path)
    places = {"UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "bin")}
    torch = f"torch=={version('torch')}"
    command = [UV, "tool", "install", "--python", python, "--with", torch, wheel]
    subprocess.run(command, env=ENVIRONMENT | places, check=True, capture_output=True)
    assert "landcover-pnp" in _run(tmp_path, tmp_path / "bin" / "landcover", "--version")
