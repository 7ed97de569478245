"""How the plugin for QGIS starts, watches and cancels the command; no QGIS is needed for that."""

import json
import os
import sys
import time
from pathlib import Path

import pytest

from landcover_pnp.cli import main
from landcover_pnp.products.qgis_install import COMMAND, PLUGIN, SOURCE, profile_plugins
from landcover_pnp.products.qgis_plugin import command as plugin


class Feedback:
    """What Processing would show; cancelled once a line has been seen, if asked to."""

    def __init__(self, cancel_at: str | None = None) -> None:
        self.lines: list[str] = []
        self.percents: list[float] = []
        self.cancel_at = cancel_at

    def pushInfo(self, text: str) -> None:  # noqa: N802
        self.lines.append(text)

    def setProgress(self, percent: float) -> None:  # noqa: N802
        self.percents.append(percent)

    def isCanceled(self) -> bool:  # noqa: N802
        return self.cancel_at is not None and self.cancel_at in self.lines


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the plugin looks for its command."""
    monkeypatch.setattr(plugin, "RECORD", tmp_path / COMMAND)
    return tmp_path / COMMAND


def starts(record: Path, program: str) -> None:
    """Lets the plugin start a program in place of the command."""
    record.write_text(json.dumps([sys.executable, "-u", "-c", program]))


def test_what_is_said_is_shown_as_it_is_said(record: Path) -> None:
    starts(record, "import sys; print('first'); print('second', sys.argv[1:], file=sys.stderr)")
    feedback = Feedback()
    plugin.run(["a", "b"], feedback)
    assert feedback.lines == ["first", "second ['a', 'b']"]


@pytest.mark.parametrize("code", [1, 2])
def test_an_error_is_told_by_the_command_s_own_words(record: Path, code: int) -> None:
    starts(record, f"import sys; print('found: no file x', file=sys.stderr); sys.exit({code})")
    with pytest.raises(plugin.CommandError, match="found: no file x"):
        plugin.run([], Feedback())


def test_some_failed_tiles_are_no_error(record: Path) -> None:
    starts(record, "import sys; sys.exit(3)")
    plugin.run([], Feedback())


def test_cancelling_interrupts_and_waits_for_the_end(record: Path, tmp_path: Path) -> None:
    left = tmp_path / "left in order"
    starts(
        record,
        "import pathlib, time\n"
        "try:\n    print('at work')\n    time.sleep(60)\n"
        f"except KeyboardInterrupt:\n    pathlib.Path({str(left)!r}).touch()\n    raise",
    )
    start = time.monotonic()
    with pytest.raises(plugin.CommandError, match="Cancelled"):
        plugin.run([], Feedback("at work"))
    assert left.exists()
    assert time.monotonic() - start < 30


def test_a_command_that_is_deaf_is_ended(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin, "LEAVE_S", 0.2)
    starts(
        record,
        "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('at work'); "
        "time.sleep(60)",
    )
    with pytest.raises(plugin.CommandError, match="Cancelled"):
        plugin.run([], Feedback("at work"))


def test_without_the_command_it_says_how_to_install_it(
    record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(plugin.CommandError, match=r"not installed.*pipx install"):
        plugin.command()
    record.write_text(json.dumps([str(record.parent / "gone" / "python"), "-m", "landcover_pnp"]))
    with pytest.raises(plugin.CommandError, match="is gone"):
        plugin.command()
    record.write_text("{damaged")
    with pytest.raises(plugin.CommandError, match="not installed"):
        plugin.command()


def test_the_command_of_the_path_will_do(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = record.with_name("landcover")
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(record.parent))
    assert plugin.command() == [str(program)]


def test_what_qgis_has_set_for_itself_is_not_handed_on(
    record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    monkeypatch.setenv("GDAL_DATA", "/nowhere")
    monkeypatch.setenv("PROJ_LIB", "/nowhere")
    monkeypatch.setenv("HTTPS_PROXY", "kept")
    starts(record, "import os; print(*sorted(os.environ))")
    feedback = Feedback()
    plugin.run([], feedback)
    assert not {"PYTHONHOME", "GDAL_DATA", "PROJ_LIB"} & set(feedback.lines[0].split())
    assert "HTTPS_PROXY" in feedback.lines[0].split()


def test_progress_is_read_from_the_journal(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    assert plugin.progress(journal, 0) == 0
    lines = [{"event": "start"}, {"event": "tiles", "total": 4, "kept": 1}, {"event": "tile"}]
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"event": "ti')
    assert plugin.progress(journal, 0) == 50
    old = time.time() - 100
    os.utime(journal, (old, old))
    assert plugin.progress(journal, time.time() - 50) == 0, "of an earlier process"


def test_it_is_installed_where_qgis_looks_and_starts_this_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    assert main(["qgis-plugin"]) == 0
    folder = profile_plugins() / PLUGIN
    assert folder.is_relative_to(tmp_path)
    assert json.loads((folder / COMMAND).read_text())[0] == sys.executable
    assert {file.name for file in SOURCE.iterdir() if file.is_file()} <= {
        file.name for file in folder.iterdir()
    }
    assert "VERSION" not in (folder / "metadata.txt").read_text()
    assert main(["qgis-plugin"]) == 0, "a newer one replaces it"


def test_a_folder_of_the_user_s_own_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / PLUGIN / "mine.py"
    mine.parent.mkdir()
    mine.write_text("mine")
    assert main(["qgis-plugin", "--out", str(tmp_path)]) == 2
    assert str(mine.parent) in capsys.readouterr().err
    assert [file.name for file in mine.parent.iterdir()] == ["mine.py"]


def test_the_plugin_imports_nothing_of_this_package() -> None:
    for file in SOURCE.glob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert "landcover_pnp" not in "".join(
            line for line in text.splitlines() if line.lstrip().startswith(("import ", "from "))
        )
