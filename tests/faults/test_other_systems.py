"""Without what only POSIX has, as on Windows: the package is imported, plans and maps.

It was never run on Windows itself. Modules are hidden from this package's own imports alone, for
Python's and other packages' choose by the system, which stays what it is.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from inputs import write_scene

PACKAGE = Path(__file__).parents[2] / "landcover_pnp"

POSIX_MODULES = ("fcntl", "resource", "pwd", "grp", "termios", "posix", "pty", "tty", "syslog")
POSIX_NAMES = {
    "signal": (
        "SIGALRM",
        "SIGHUP",
        "SIGKILL",
        "ITIMER_REAL",
        "setitimer",
        "pthread_sigmask",
        "SIG_BLOCK",
        "SIG_SETMASK",
    ),
    "select": ("poll",),
    "os": ("fork", "getuid", "geteuid", "killpg", "setsid", "mkfifo"),
}

PROGRAM = f"""
import builtins, fcntl, importlib, os, select, signal, stat, sys
import multiprocessing, subprocess, rasterio, torch, distributed, sklearn, geopandas, diffusers

real_import, real_open, real_sync, real_kill = builtins.__import__, os.open, os.fsync, os.kill

def import_(name, globals=None, *rest, **more):
    ours = str((globals or {{}}).get("__name__", "")).startswith("landcover_pnp")
    if ours and name.partition(".")[0] in {POSIX_MODULES}:
        raise ImportError(f"no module named {{name}} on this system")
    return real_import(name, globals, *rest, **more)

def open_(path, *rest, **more):
    if isinstance(path, (str, os.PathLike)) and os.path.isdir(path):
        raise PermissionError(13, "a folder cannot be opened", str(path))
    return real_open(path, *rest, **more)

def fsync(descriptor):
    if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(9, "only what may be written can be synchronised")
    real_sync(descriptor)

def kill(pid, number):
    if number == 0 and sys._getframe(1).f_globals["__name__"].startswith("landcover_pnp"):
        raise AssertionError("this would send Ctrl-C")
    real_kill(pid, number)

builtins.__import__, os.open, os.fsync, os.kill = import_, open_, fsync, kill
for module, names in {POSIX_NAMES}.items():
    for name in names:
        if hasattr(sys.modules[module], name):
            delattr(sys.modules[module], name)

modules, *commands = (words.split(" ") for words in sys.argv[1:])
for module in modules:
    importlib.import_module(module)
from landcover_pnp.__main__ import main
for words in commands:
    sys.argv = ["landcover", *words]
    if main() != 0:
        sys.exit(1)
"""


def modules() -> list[str]:
    """Every module of the package; the plugin is one of QGIS' own Python."""
    files = (file for file in PACKAGE.rglob("*.py") if file.parent.name != "qgis_plugin")
    paths = (file.relative_to(PACKAGE.parent) for file in files)
    names = (".".join(path.with_suffix("").parts) for path in paths)
    return sorted(name.removesuffix(".__init__") for name in names)


def test_without_posix_it_imports_plans_and_maps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_scene(tmp_path)
    commands = "check scene.yaml", "map scene.yaml --run run --workers 0 --publish", "status run"
    program = [sys.executable, "-c", PROGRAM, " ".join(modules()), *commands]
    done = subprocess.run(program, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert Path("run/landcover.tif").is_file()
    assert Path("run/products/landcover.qgz").is_file()


def test_no_posix_module_is_imported_without_a_fallback() -> None:
    """Only inside a function or a ``try``; the program above then sees what becomes of it."""
    for path in PACKAGE.rglob("*.py"):
        names = set[str | None]()
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom):
                names.add(node.module)
            elif isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
        assert not names & {*POSIX_MODULES}, path
