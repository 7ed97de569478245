import errno
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landcover_pnp.errors import DiskFullError, RequestError, RunLockedError
from landcover_pnp.inference.engines.algorithm1 import Algorithm1Settings
from landcover_pnp.inference.settings import InferenceSettings
from landcover_pnp.storage import lock
from landcover_pnp.storage.checked_json import write_checked
from landcover_pnp.storage.lock import locked
from landcover_pnp.storage.owned_folder import held
from landcover_pnp.storage.records import (
    Record,
    changed,
    file_hashes,
    fingerprint,
    ingredients,
    make_way,
)


def test_ingredients_name_nested_settings() -> None:
    inference = InferenceSettings("algorithm1")
    made_of = ingredients(inference=inference.made_of(), box=(1, 2), seed=3)
    assert made_of["inference.algorithm1.steps"] == Algorithm1Settings().steps
    assert made_of["inference.engine"] == "algorithm1"
    assert made_of["box"] == [1, 2]
    json.dumps(made_of)


VALUES = st.one_of(st.integers(), st.floats(allow_nan=False), st.text(), st.booleans(), st.none())


@given(st.dictionaries(st.text(), VALUES), st.dictionaries(st.text(), VALUES))
def test_fingerprints_differ_exactly_when_something_changed(a: dict, b: dict) -> None:
    reordered = dict(reversed(a.items()))
    assert fingerprint(a) == fingerprint(reordered)
    assert (fingerprint(a) == fingerprint(b)) == (
        json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)
    )
    assert not changed(a, a)
    assert changed(a, b) == changed(b, a)
    assert set(changed(a, {})) == {name for name, value in a.items() if value is not None}


def test_a_record_comes_back(tmp_path: Path) -> None:
    record = Record("failed", {"seed": 1}, 2.5, "found: x", {"valid_px": 3})
    record.write(tmp_path / "r.json")
    assert Record.read(tmp_path / "r.json") == record


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"status": "done"}', '{"fingerprint": 1, "x": 2}']
)
def test_half_a_record_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "r.json").write_text(content)
    assert Record.read(tmp_path / "r.json") is None


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(JSON, st.sampled_from(["status", "ingredients", "seconds", "reason", "figures", "files"]))
def test_any_json_is_a_record_or_none(
    tmp_path_factory: pytest.TempPathFactory, content: object, key: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    sound = {"fingerprint": "", "status": "done", "ingredients": {}, "seconds": 1}
    for whole in (content, {**sound, key: content}):
        path.write_text(json.dumps(whole))
        record = Record.read(path)
        if record is not None:
            record.damage(path.parent)
            Record.standing(path, {})


@pytest.mark.parametrize("name", ["/etc/passwd", "../beside", "a/../../beside", "a\0b"])
def test_a_record_names_no_file_outside_its_folder(tmp_path: Path, name: str) -> None:
    Record("done", {}, 1).write(tmp_path / "r.json")
    sound = json.loads((tmp_path / "r.json").read_text())
    del sound["check"]
    write_checked(tmp_path / "r.json", {**sound, "files": {"a/map.tif": "0"}})
    assert Record.read(tmp_path / "r.json") is not None
    write_checked(tmp_path / "r.json", {**sound, "files": {name: "0"}})
    assert Record.read(tmp_path / "r.json") is None


def test_no_bit_of_a_record_can_flip_unseen(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    (tmp_path / "map.tif").write_text("map")
    files = file_hashes(tmp_path, [tmp_path / "map.tif"])
    Record("done", {"seed": 1}, 2.5, figures={"valid_px": 3}, files=files).write(path)
    written = path.read_bytes()
    assert Record.standing(path, {"seed": 1})[0]
    for at in range(len(written)):
        flipped = bytearray(written)
        flipped[at] ^= 1 << at % 8
        path.write_bytes(flipped)
        assert Record.read(path) is None
    for length in range(len(written)):
        path.write_bytes(written[:length])
        assert Record.read(path) is None


def test_work_that_is_done_again_loses_nothing_of_the_user_s(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    names = ["kept.qml", "edited.qml", "empty.qml", "gone.qml"]
    for name in names:
        (tmp_path / name).write_text("style")
    files = file_hashes(tmp_path, [tmp_path / name for name in names])
    Record("done", {}, 1, files=files).write(path)
    assert Record.standing(path, {})[0]
    (tmp_path / "edited.qml").write_text("my own style")
    (tmp_path / "empty.qml").write_text("")
    (tmp_path / "gone.qml").unlink()
    assert Record.standing(path, {}) == (None, [])
    said = make_way(path)
    assert len(said) == 3
    assert f"{tmp_path.name}/edited.qml has been changed since it was written" in said[0]
    assert "edited.qml.changed" in said[0]
    assert (tmp_path / "edited.qml.changed").read_text() == "my own style"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["edited.qml.changed", "kept.qml"]


@pytest.mark.parametrize("fill", [Path.mkdir, Path.touch, lambda p: p.write_text("null")])
def test_what_is_no_record_is_in_nobody_s_way(tmp_path: Path, fill: object) -> None:
    fill(tmp_path / "r.json")  # type: ignore[operator]
    assert Record.standing(tmp_path / "r.json", {}) == (None, [])
    make_way(tmp_path / "r.json")
    Record("done", {}, 1).write(tmp_path / "r.json")
    assert Record.standing(tmp_path / "r.json", {})[0]


def test_records_of_version_0_1_0_are_read(tmp_path: Path) -> None:
    (tmp_path / "map.tif").write_text("map")
    files = file_hashes(tmp_path, [tmp_path / "map.tif"])
    old = {
        "fingerprint": "f",
        "status": "done",
        "ingredients": {"seed": 1},
        "seconds": 1.5,
        "reason": "",
        "figures": {"valid_px": 3},
        "files": files,
    }
    (tmp_path / "r.json").write_text(json.dumps(old, indent=2))
    record, _ = Record.standing(tmp_path / "r.json", {"seed": 1})
    assert record is not None
    assert record.figures == {"valid_px": 3}


def test_two_processes_cannot_share_a_run_folder(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from landcover_pnp.storage.lock import locked\n"
        "with locked(Path(sys.argv[1])): pass"
    )
    run = tmp_path / "run"
    with locked(run):
        (run / "something").touch()
        words = [sys.executable, "-c", program, str(run)]
        second = subprocess.run(words, capture_output=True, text=True, timeout=60)
        assert "RunLockedError" in second.stderr
        assert f"process {os.getpid()} on" in second.stderr
    assert subprocess.run(words, timeout=60).returncode == 0


def test_a_stale_lock_is_taken_over(tmp_path: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True
    )
    with locked(tmp_path / "run"):
        owner = json.loads((tmp_path / "run" / ".lock").read_text())
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").write_text(json.dumps({**owner, "pid": int(child.stdout)}))
    with locked(tmp_path / "run"):
        assert json.loads((tmp_path / "run" / ".lock").read_text())["pid"] == os.getpid()


def odd_locks() -> dict[str, object]:
    whole = {"pid": 2**22 - 1, "host": socket.gethostname(), "start": "yesterday", "boot": "other"}
    return {
        **{text: text for text in ("", "{", "null", "5", '"text"', "[]", "{}", "[" * 100_000)},
        "not text": b"\x80\x04\xff",
        **{f"{k} {v!r}": json.dumps({**whole, k: v}) for k in whole for v in (None, [], -1, 1e99)},
        "another key": json.dumps({**whole, "x": 1}),
        "a folder": Path.mkdir,
        "a pipe": os.mkfifo,
        "a link to nowhere": lambda lock: lock.symlink_to("nowhere"),
    }


@pytest.mark.parametrize("odd", odd_locks())
def test_an_odd_lock_is_nobody_s(odd: str, tmp_path: Path) -> None:
    lock_file, content = tmp_path / ".lock", odd_locks()[odd]
    if callable(content):
        content(lock_file)
    else:
        lock_file.write_bytes(content if isinstance(content, bytes) else str(content).encode())
    assert lock.owner(tmp_path) is None
    with locked(tmp_path):
        assert json.loads(lock_file.read_text())["pid"] == os.getpid()
    assert not os.path.lexists(lock_file)


def test_a_lock_that_a_killed_container_left_is_taken_over(tmp_path: Path) -> None:
    """Started again, it has the same name, and its first process the same number."""
    owner = {"pid": os.getpid(), "host": socket.gethostname(), "start": "yesterday"}
    (tmp_path / ".lock").write_text(json.dumps(owner))
    with locked(tmp_path):
        with pytest.raises(RunLockedError), locked(tmp_path):
            pass
        assert json.loads((tmp_path / ".lock").read_text())["start"] != "yesterday"


def test_a_new_folder_goes_with_a_bad_request_unless_there_is_work_to_keep(tmp_path: Path) -> None:
    for name, kept in (("bad", False), ("late", True)):
        with pytest.raises(RequestError), held(tmp_path / name, "test") as owned:
            owned.claim("work")
            (tmp_path / name / "work").touch()
            owned.kept = kept
            raise RequestError("found", "expected", "fix")
        assert (tmp_path / name / "work").exists() == kept


def test_of_two_processes_that_find_a_stale_lock_one_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rival comes when the lock has been judged stale and is not yet removed."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    owner = {"pid": dead.pid, "host": socket.gethostname(), "start": "yesterday"}
    (tmp_path / ".lock").write_text(json.dumps(owner))
    program = (
        "import sys; from pathlib import Path; from landcover_pnp.storage.lock import locked\n"
        "folder = Path(sys.argv[1])\n"
        "with locked(folder): (folder / 'taken').touch(); sys.stdin.read()"
    )
    rivals: list[subprocess.Popen[str]] = []
    judge = lock._refuse_if_alive

    def judged(lock: Path) -> None:
        judge(lock)
        words = [sys.executable, "-c", program, str(tmp_path)]
        pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        rivals.append(subprocess.Popen(words, **pipes))
        for _ in range(40):
            if (tmp_path / "taken").exists():
                break
            time.sleep(0.05)

    monkeypatch.setattr(lock, "_refuse_if_alive", judged)
    with locked(tmp_path):
        (rival,) = rivals
        _, said = rival.communicate("", timeout=60)
        assert "RunLockedError" in said
        assert not (tmp_path / "taken").exists()


@pytest.mark.parametrize("reason", [errno.EPERM, errno.ENOTSUP, errno.EMLINK])
def test_a_file_system_without_hard_links_locks_too(
    reason: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(os, "link", refused)
    (tmp_path / ".lock").write_text("")  # what a power cut leaves of one
    with locked(tmp_path):
        assert json.loads((tmp_path / ".lock").read_text())["pid"] == os.getpid()
        with pytest.raises(RunLockedError, match=f"process {os.getpid()} on"), locked(tmp_path):
            pass
    assert not list(tmp_path.glob(".*"))


def test_a_lock_from_before_the_machine_was_started_again_is_stale(tmp_path: Path) -> None:
    """Its number is another process's by now."""
    with locked(tmp_path / "run"):
        owner = json.loads((tmp_path / "run" / ".lock").read_text())
    if not owner["boot"]:
        pytest.skip("this system does not say when it was started")
    (tmp_path / ".lock").write_text(json.dumps({**owner, "pid": os.getppid(), "boot": "before"}))
    with locked(tmp_path):
        pass


def test_a_process_that_is_stopped_while_it_takes_a_folder_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "TAKE_S", 0.2)
    with (
        lock.one_at_a_time(tmp_path),
        pytest.raises(RunLockedError, match="about to take"),
        locked(tmp_path),
    ):
        pass


def test_a_full_disk_is_said_where_a_lock_finds_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(DiskFullError), locked(tmp_path):
        pass


def test_a_lock_of_another_host_is_respected(tmp_path: Path) -> None:
    owner = {"pid": 1, "host": "elsewhere", "start": "yesterday"}
    (tmp_path / ".lock").write_text(json.dumps(owner))
    with (
        pytest.raises(RunLockedError, match="process 1 on elsewhere since yesterday"),
        locked(tmp_path),
    ):
        pass
    assert (tmp_path / ".lock").exists()


@pytest.mark.parametrize("name", ["file", "file/run"])
def test_a_run_folder_that_cannot_be_made_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match="cannot be written to"), locked(tmp_path / name):
        pass


def test_an_empty_run_folder_does_not_stay(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), locked(tmp_path / "run"):
        raise RuntimeError
    assert not (tmp_path / "run").exists()
