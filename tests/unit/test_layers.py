"""The walls of the house: what is imported when, and where a run's file names stand."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import landcover_pnp
from landcover_pnp.storage.run_folder import PLACES

ROOT = Path(str(landcover_pnp.__file__)).parent
NAMES = {
    "settings.json",
    "summary.json",
    "products.json",
    "record.json",
    "journal.jsonl",
    "overview.png",
    "preview.vrt",
    "landcover.tif",
    "confidence.tif",
    "entropy.tif",
    "doubt.tif",
}
"""Names of files in a run folder."""


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from landcover_pnp.cli import main; code = main(['map', '--help']); "
        "heavy = {'torch', 'rasterio', 'sklearn', 'dask', 'diffusers'} & set(sys.modules); "
        "sys.exit(code or ' '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--inference.engine" in done.stdout


# The plugin for QGIS, which imports nothing of this package, has to know two of them.
ELSEWHERE = {
    path for folder in ("storage", "products/qgis_plugin") for path in (ROOT / folder).rglob("*.py")
}


@pytest.mark.parametrize("path", sorted(set(ROOT.rglob("*.py")) - ELSEWHERE), ids=str)
def test_a_run_s_file_names_stand_in_storage_alone(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant):
            assert node.value not in NAMES, f"line {node.lineno}"
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            part = node.right
            assert not isinstance(part, ast.Constant) or part.value not in PLACES, (
                f"line {node.lineno}"
            )


def test_no_file_is_written_under_its_final_name() -> None:
    for path in sorted(set(ROOT.rglob("*.py")) - ELSEWHERE):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("write_bytes", "write_text"):
                written = ast.unparse(node.value)
                assert written == "partial", f"{path}:{node.lineno}: see storage.atomic"
