"""Signals become one exception, which waits where it would do harm."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from landcover_pnp import interruption
from landcover_pnp.interruption import (
    SIGNALS,
    Interrupted,
    ended_by_signals,
    exit_code,
    how_to_resume,
    stoppable,
    undone_by_lightning,
    uninterrupted,
)

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Python's own answers, which a shell in the background has switched off."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", CODES)
def test_a_signal_ends_the_block_and_leaves_the_handlers_as_they_were(number: int) -> None:
    before = [signal.getsignal(n) for n in (*SIGNALS, signal.SIGALRM)]
    with pytest.raises(Interrupted) as stop, ended_by_signals(), ended_by_signals():
        signal.raise_signal(number)
    assert stop.value.exit_code == exit_code(stop.value) == CODES[number]
    assert [signal.getsignal(n) for n in (*SIGNALS, signal.SIGALRM)] == before


@pytest.mark.parametrize("number", CODES)
def test_an_ignored_signal_stays_ignored(number: int) -> None:
    signal.signal(number, signal.SIG_IGN)
    with ended_by_signals(), stoppable(lambda _: None) as stop:
        signal.raise_signal(number)
        assert not stop()


def test_further_signals_do_not_cut_the_leaving_short() -> None:
    left = []
    with pytest.raises(Interrupted) as stop, ended_by_signals():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGHUP)
            left.append("in order")
    assert left
    assert stop.value.exit_code == 143


def test_leaving_that_hangs_can_be_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruption, "LEAVE_S", 0.05)
    with pytest.raises(Interrupted) as stop, ended_by_signals():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            time.sleep(0.1)
            signal.raise_signal(signal.SIGHUP)
            pytest.fail("it hangs")
    assert stop.value.exit_code == 129


def test_an_error_that_a_signal_has_brought_about_is_the_signal() -> None:
    """Compiled code makes another error of whatever comes to it from Python."""
    with pytest.raises(Interrupted) as stop, ended_by_signals():
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            raise ImportError("numpy._core.multiarray failed to import") from None
    assert stop.value.exit_code == 143
    with pytest.raises(ImportError), ended_by_signals():
        raise ImportError("a broken installation")


def test_nobody_who_reads_is_no_error_after_a_signal() -> None:
    with pytest.raises(Interrupted), ended_by_signals(), stoppable(lambda _: None):
        signal.raise_signal(signal.SIGHUP)
        raise BrokenPipeError(32, "Broken pipe")
    with pytest.raises(FileNotFoundError), ended_by_signals(), stoppable(lambda _: None):
        signal.raise_signal(signal.SIGHUP)
        raise FileNotFoundError(2, "No such file or directory")


def test_a_signal_waits_until_an_import_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slowly_imported.py").write_text(
        "import signal, time\nsignal.raise_signal(signal.SIGTERM)\ntime.sleep(0.2)\nWHOLE = True\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Interrupted) as stop, ended_by_signals():
        import slowly_imported

        assert slowly_imported.WHOLE
        time.sleep(10)
    assert stop.value.exit_code == 143
    assert sys.modules.pop("slowly_imported").WHOLE


def test_a_second_signal_cuts_an_import_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "endlessly_imported.py").write_text(
        "import signal, time\nsignal.raise_signal(signal.SIGTERM)\ntime.sleep(0.15)\n"
        "signal.raise_signal(signal.SIGTERM)\ntime.sleep(60)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    start = time.monotonic()
    with pytest.raises(Interrupted), ended_by_signals():
        import endlessly_imported  # noqa: F401
    assert time.monotonic() - start < 30


def test_what_must_not_be_cut_in_two_is_done_first() -> None:
    done = []
    with pytest.raises(Interrupted) as stop, ended_by_signals(), uninterrupted():
        with uninterrupted():
            signal.raise_signal(signal.SIGHUP)
            done.append("inner")
        done.append("outer")
    assert done == ["inner", "outer"]
    assert stop.value.exit_code == 129


@pytest.mark.parametrize("number", CODES)
def test_the_first_signal_is_a_wish_the_second_an_order(number: int) -> None:
    told: list[str] = []
    with pytest.raises(Interrupted) as stop, ended_by_signals(), stoppable(told.append) as wished:
        assert not wished()
        signal.raise_signal(number)
        signal.raise_signal(number)  # at the same time: the same wish
        assert wished()
        assert "tiles in hand are being finished" in " ".join(told)
        time.sleep(2 * interruption.TWICE_S)
        signal.raise_signal(signal.SIGTERM)
        pytest.fail("the second was not heard")
    assert stop.value.exit_code == 143
    assert len(told) == 1
    with pytest.raises(Interrupted) as stop, ended_by_signals(), stoppable(told.append):
        signal.raise_signal(number)
    assert stop.value.exit_code == CODES[number]


def test_a_program_that_uses_the_package_keeps_its_own_handlers() -> None:
    called = []
    signal.signal(signal.SIGTERM, lambda *_: called.append("mine"))
    with pytest.raises(KeyboardInterrupt), stoppable(lambda _: None) as stop:
        signal.raise_signal(signal.SIGTERM)
        assert called == ["mine"]
        assert not stop()
        signal.raise_signal(signal.SIGINT)
        assert stop()


def test_what_cannot_be_said_in_the_middle_of_a_line_is_said_later() -> None:
    told: list[str] = []

    def tell(text: str) -> None:
        told.append(text)
        if len(told) == 1:
            raise RuntimeError("reentrant call inside <_io.BufferedWriter>")

    with pytest.raises(Interrupted), ended_by_signals(), stoppable(tell) as stop:
        signal.raise_signal(signal.SIGTERM)
        assert stop()
        assert stop()
    assert len(told) == 2


def test_a_signal_that_was_swallowed_is_raised_at_the_next_tile() -> None:
    with pytest.raises(Interrupted), ended_by_signals():
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        with stoppable(lambda _: None) as stop:
            stop()
            pytest.fail("it goes on")


def test_other_threads_hear_of_nothing() -> None:
    seen: list[bool] = []

    def work() -> None:
        with ended_by_signals(), uninterrupted(), stoppable(lambda _: None) as stop:
            seen.append(stop())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]


def test_lightnings_exit_is_an_interruption_again() -> None:
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted) as stop, undone_by_lightning():
        try:
            raise Interrupted(signal.SIGTERM)
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            sys.exit(1)
    assert stop.value.exit_code == 143
    assert signal.getsignal(signal.SIGINT) is handler


def test_the_command_that_resumes_can_be_pasted() -> None:
    said = how_to_resume(Interrupted(signal.SIGHUP), ["map", "a city.yaml", "--seed", "1"])
    assert said.startswith("interrupted by SIGHUP; finished work is kept")
    assert said.endswith("Resume: landcover map 'a city.yaml' --seed 1")
    assert how_to_resume(KeyboardInterrupt(), []).startswith("interrupted; ")


def test_a_pipe_that_nobody_reads_is_left(capfd: pytest.CaptureFixture[str]) -> None:
    reading, writing = os.pipe()
    before = os.dup(1)
    try:
        os.dup2(writing, 1)
        os.close(reading)
        with pytest.raises(Interrupted), ended_by_signals():
            signal.raise_signal(signal.SIGHUP)
        os.write(1, b"nobody reads this")
    finally:
        os.dup2(before, 1)
        os.close(before)
        os.close(writing)
