"""Every notebook runs from top to bottom."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SAYS = {"first_map": "map: accuracy", "constraints": "road pixels mapped as water"}
NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(notebook: Path, tmp_path: Path) -> None:
    cells = json.loads(notebook.read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    # Worker processes import the program again: like any script, it has a main block.
    body = "\n".join(code).replace("\n", "\n    ")
    program = tmp_path / "notebook.py"
    # That a refinement moves the matrix of a city is said to users, and no fault of a notebook.
    allowed = "import warnings\nfrom landcover_pnp.errors import WeakLabelsWarning\n"
    allowed += 'warnings.simplefilter("ignore", WeakLabelsWarning)\n'
    program.write_text(f'{allowed}if __name__ == "__main__":\n    {body}\n')
    command = [sys.executable, "-W", "error::UserWarning", str(program)]
    environment = {"MPLBACKEND": "agg", "TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    environment |= {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert SAYS.get(notebook.stem, "") in done.stdout
