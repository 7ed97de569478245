"""The journal after power cuts."""

from pathlib import Path

import pytest

from landcover_pnp.storage.journal import NAME, Journal, command_line, journal_of, run_status


@pytest.mark.parametrize("rest", [b'{"time": "20', b"\x00" * 40, b"\xff\xfe"])
def test_a_line_cut_short_does_not_swallow_the_next(tmp_path: Path, rest: bytes) -> None:
    with journal_of(tmp_path) as journal:
        journal.write("tiles", total=4, kept=0)
        journal.write("tile", tile="r0000c0000", status="failed", reason="why")
    with (tmp_path / NAME).open("ab") as file:
        file.write(rest)
    with journal_of(tmp_path) as journal:
        journal.write("tiles", total=4, kept=3)
    status = run_status(tmp_path)
    assert (status.total, status.kept, status.failed) == (4, 3, {})


def test_a_folder_without_a_journal_has_no_events(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert not list(journal.events())
    assert journal.begun is None
    with journal_of(tmp_path):
        assert journal.begun is not None


@pytest.mark.parametrize(
    ("program", "named"),
    [
        ("/opt/a b/bin/landcover", "landcover"),
        ("/opt/a b/landcover_pnp/__main__.py", "landcover"),
        ("pipelines/demo.py", "demo.py"),
        ("-c", "-c"),
    ],
)
def test_a_command_is_written_down_as_it_can_be_given_again(
    program: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", [program, "map", "my city.yaml"])
    assert command_line() == f"{named} map 'my city.yaml'"
