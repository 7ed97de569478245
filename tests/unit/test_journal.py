"""The journal after power cuts and other damage."""

from pathlib import Path

import pytest

from landcover_pnp.errors import RequestError
from landcover_pnp.storage.journal import NAME, Journal, command_line, journal_of
from landcover_pnp.storage.run_status import run_status


@pytest.mark.parametrize("rest", [b'{"time": "20', b"\x00" * 40, b"\xff\xfe"])
def test_a_line_cut_short_does_not_swallow_the_next(tmp_path: Path, rest: bytes) -> None:
    with journal_of(tmp_path) as journal:
        journal.begin()
        journal.write("tiles", total=4, kept=0)
        journal.write("tile", tile="r0000c0000", status="failed", reason="why")
    with (tmp_path / NAME).open("ab") as file:
        file.write(rest)
    with journal_of(tmp_path) as journal:
        journal.begin()
        journal.write("tiles", total=4, kept=3)
    status = run_status(tmp_path)
    assert (status.total, status.kept, status.failed) == (4, 3, {})


def test_a_folder_without_a_journal_has_no_events(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert not list(journal.events())
    assert journal.broken_off is None
    assert journal.fault() == "is missing"
    with journal_of(tmp_path) as journal:
        journal.begin()
        assert journal.broken_off is not None


def test_a_process_without_work_leaves_no_trace(tmp_path: Path) -> None:
    with journal_of(tmp_path) as journal:
        journal.write("tiles", total=4, kept=4)
    with pytest.raises(KeyError), journal_of(tmp_path) as journal:
        raise KeyError
    assert not journal.path.exists()


def finished(folder: Path) -> Journal:
    with journal_of(folder, files={"settings.json": "0"}) as journal:
        journal.begin()
        journal.write("tile", tile="r0000c0000", status="done", reason="")
        journal.write("end", exit_code=0, summary={"map": 1}, files={"preview.vrt": "1"})
    return Journal(folder)


def test_what_a_journal_tells_of_the_run(tmp_path: Path) -> None:
    journal = finished(tmp_path)
    assert journal.fault() is None
    assert journal.broken_off is None
    assert journal.last_result is not None
    assert journal.last_result["summary"] == {"map": 1}
    assert journal.hashes().keys() == {"settings.json", "preview.vrt", "summary.json"}
    with pytest.raises(RequestError), journal_of(tmp_path, files={"settings.json": "2"}) as other:
        other.begin()
        raise RequestError("found", "expected", "fix")
    assert journal.fault() is None
    assert journal.broken_off is not None
    assert journal.hashes() == {"settings.json": "2"}, "of a map that may be half made again"


def test_no_bit_of_a_finished_journal_can_flip_unseen(tmp_path: Path) -> None:
    journal = finished(tmp_path)
    written = journal.path.read_bytes()
    for at in range(len(written)):
        flipped = bytearray(written)
        flipped[at] ^= 1 << at % 8
        journal.path.write_bytes(flipped)
        assert journal.fault() or journal.last_result is None
    for length in range(len(written)):
        journal.path.write_bytes(written[:length])
        assert journal.fault() or journal.last_result is None


@pytest.mark.parametrize(
    "line",
    [
        *("{}", "null", "5", '"text"', "[]", "[" * 100_000, "{", "\ufeff{}"),
        '{"event": "tile"}',
        '{"time": "yesterday", "event": "start"}',
        '{"time": 5, "event": "start"}',
        '{"time": "2026-01-01T00:00:00+00:00", "event": ["start"]}',
        '{"time": "2026-01-01T00:00:00+00:00", "event": "tile", "tile": 5}',
        '{"time": "2026-01-01T00:00:00+00:00", "event": "tiles", "total": "many", "kept": 0}',
        '{"time": "2026-01-01T00:00:00+00:00", "event": "end", "exit_code": 0, "summary": 5}',
    ],
)
def test_a_line_that_is_none_is_passed_over_and_mended(line: str, tmp_path: Path) -> None:
    journal = finished(tmp_path)
    with journal.path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    before = journal.path.read_bytes()
    assert run_status(tmp_path).ended == 0
    assert journal.fault() == "has been changed since it was written"
    assert journal.hashes() == {}
    with journal_of(tmp_path) as again:
        again.begin()
        again.write("end", exit_code=0)
    assert journal.fault() is None
    kept = [event["event"] for event in journal.events()]
    assert kept == ["start", "tile", "end", "start", "note", "end"]
    assert (tmp_path / f"{NAME}.changed").read_bytes() == before


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
