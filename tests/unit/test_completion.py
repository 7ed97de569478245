"""The shell completes commands, options and their words."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from landcover_pnp.cli import main

ASK = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_TYPE=9
_shtab_landcover
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "landcover"
    done = subprocess.run(
        [sys.executable, "-m", "landcover_pnp", "completion", "bash"],
        capture_output=True,
        text=True,
    )
    path.write_text(done.stdout)
    return path


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["ma"], {"map"}),
        (["train-"], {"train-student", "train-prior"}),
        (["map", "--tiles.c"], {"--tiles.core_px"}),
        (["map", "c.yaml", "--student.forest.t"], {"--student.forest.trees"}),
        (["map", "c.yaml", "--inference.engine", "gui"], {"guided"}),
        (["map", "c.yaml", "--clusters.contrasts", "t"], {"true"}),
        (["status", "--js"], {"--json"}),
        (["completion", "z"], {"zsh"}),
    ],
)
def test_bash_completes(words: list[str], offered: set[str], script: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", ASK, "ask", script, "landcover", *words], capture_output=True, text=True
    )
    assert set(done.stdout.split()) == offered, done.stderr


@pytest.mark.parametrize(
    ("shell", "holds"), [("zsh", "--student.forest.trees"), ("tcsh", "train-student")]
)
def test_other_shells_have_a_script(
    shell: str, holds: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    assert holds in capsys.readouterr().out


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "fsh"]) == 2
    assert "did you mean 'zsh'?" in capsys.readouterr().err
