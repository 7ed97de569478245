"""Signals that ask a command to end: Ctrl-C, SIGTERM, and SIGHUP when its terminal closes.

All three end it in the same way. ``Interrupted`` is raised in the main thread, and every block
that was entered is left in order: files half-written are removed, the journal is closed, the lock
goes. While tiles are at work the first signal only stops new ones, see ``stoppable``. A signal that
this process was started to ignore stays ignored: SIGHUP below ``nohup``, Ctrl-C in the background.
"""

from __future__ import annotations

import errno
import os
import select
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""Signals that ask a process to end; Windows has no SIGHUP."""

TWICE_S = 0.1
"""Time within which two signals are one wish: ``timeout``, systemd, closing terminals send two."""

LEAVE_S = 10.0
"""Time for leaving all blocks in order, in which further signals change nothing."""

LOOK_S = 0.05
"""Time between looks whether an import is done that a signal waits for."""

HAS_TIMER = hasattr(signal, "setitimer")
"""Whether the system can look again; Windows cannot, and there a signal ends imports at once."""


class Interrupted(KeyboardInterrupt):
    """A signal has asked this process to end.

    Args:
        number: The signal.

    Attributes:
        exit_code: 128 and the signal's number, as shells have it: 130, 143 or 129.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.exit_code = 128 + number


def exit_code(error: BaseException) -> int:
    """Exit code of a process that ends by an exception."""
    return int(getattr(error, "exit_code", 130 if isinstance(error, KeyboardInterrupt) else 1))


def asked_to_end() -> int | None:
    """The signal that has asked this process to end, if one has."""
    return _STATE.heard


def how_to_resume(stop: KeyboardInterrupt, words: Sequence[str]) -> str:
    """What the user is told of a command that was interrupted.

    Args:
        stop: What interrupted it.
        words: The command's words, without the program's name.
    """
    number = exit_code(stop) - 128
    by = "" if number == signal.SIGINT else f" by {signal.Signals(number).name}"
    command = shlex.join(["landcover", *words])
    return f"interrupted{by}; finished work is kept. Resume: {command}"


@dataclass
class _State:
    """What this process was asked to do, and what it does about it.

    Attributes:
        installed: Whether its signals are handled here.
        graceful: Takes a signal where the first one is no more than a wish; says whether it did.
        held: Blocks at work that no signal may cut in two.
        waiting: Signal that waits for the end of such a block or of an import.
        waiting_s: Since when it waits for the import.
        heard: The last signal.
        raised: Signal that all blocks are left for.
        raised_s: Since when.
    """

    installed: bool = False
    graceful: Callable[[int], bool] | None = None
    held: int = 0
    waiting: int | None = None
    waiting_s: float = 0.0
    heard: int | None = None
    raised: int | None = None
    raised_s: float = 0.0


_STATE = _State()


@contextmanager
def ended_by_signals(signals: Sequence[int] = SIGNALS) -> Iterator[None]:
    """Ends the block in order when a signal asks this process to end.

    Of no effect inside another such block, and outside of the main thread, where Python allows no
    signal handlers.

    Args:
        signals: The signals; those that are ignored by now stay ignored.

    Raises:
        Interrupted: In the block. Also in place of another error that a signal has brought about:
            in compiled code, which cannot let it through, or where nobody reads any more.
    """
    global _STATE
    if _STATE.installed or not _in_main_thread():
        yield
        return
    _STATE = _State(installed=True)
    heard = [n for n in signals if signal.getsignal(n) not in (signal.SIG_IGN, None)]
    before = {number: signal.signal(number, _hear) for number in heard}
    if HAS_TIMER:
        before[signal.SIGALRM] = signal.signal(signal.SIGALRM, _look_again)
    try:
        yield
    except Exception as error:
        unread = isinstance(error, OSError) and error.errno in (errno.EPIPE, errno.EIO)
        number = _STATE.raised or (_STATE.heard if unread else None)
        if number is None:
            raise
        raise Interrupted(number) from error
    finally:
        if HAS_TIMER:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for heard_before, handler in before.items():
            signal.signal(heard_before, handler)
        _STATE = _State()


@contextmanager
def stoppable(tell: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """Takes the first signal for a wish to stop soon, while the block runs; the second stops it.

    Args:
        tell: Called at the first signal with what happens now.

    Yields:
        A function that says whether to begin nothing new.

    Raises:
        Interrupted: At the block's end where there was a signal; in the block at the second one.
    """
    asked: list[int] = []
    since, untold = 0.0, False

    def say() -> None:
        nonlocal untold
        name = "Ctrl-C" if asked[0] == signal.SIGINT else signal.Signals(asked[0]).name
        untold = True
        # A signal may come in the middle of a line that is being written: then it is said later.
        with suppress(RuntimeError, OSError):
            tell(f"{name}: tiles in hand are being finished; a second signal stops at once")
            untold = False

    def ask(number: int) -> bool:
        nonlocal since
        if asked:
            return time.monotonic() - since < TWICE_S
        since = time.monotonic()
        asked.append(number)
        say()
        return True

    def stop() -> bool:
        if _STATE.raised is not None:
            raise Interrupted(_STATE.raised)  # something has swallowed it
        if untold:
            say()
        return bool(asked)

    with ended_by_signals((signal.SIGINT,)):
        outer, _STATE.graceful = _STATE.graceful, ask
        try:
            yield stop
        finally:
            _STATE.graceful = outer
        if stop():
            raise Interrupted(asked[0])


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Lets a signal wait until the block's end: what takes no time, and must not be cut in two."""
    if not _in_main_thread():
        yield
        return
    _STATE.held += 1
    try:
        yield
    finally:
        _STATE.held -= 1
        if not _STATE.held:
            _look_again(0, sys._getframe())


@contextmanager
def undone_by_lightning() -> Iterator[None]:
    """Gives an interruption back its form: Lightning exits at one, and may leave Ctrl-C ignored."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as stop:
        cause = stop.__context__
        raise (cause if isinstance(cause, KeyboardInterrupt) else KeyboardInterrupt()) from None
    finally:
        if _in_main_thread():
            signal.signal(signal.SIGINT, before)


def _hear(number: int, frame: FrameType | None) -> None:
    """The handler of all signals."""
    _STATE.heard = number
    if number != signal.SIGINT:
        _leave_closed_terminal()
    if _STATE.raised is not None and time.monotonic() - _STATE.raised_s < LEAVE_S:
        return
    if _STATE.graceful and _STATE.graceful(number):
        return
    if _STATE.held:
        _STATE.waiting = number
        return
    again = _STATE.waiting is not None and time.monotonic() - _STATE.waiting_s > TWICE_S
    if HAS_TIMER and _importing(frame) and not again:
        _STATE.waiting_s = _STATE.waiting_s or time.monotonic()
        _STATE.waiting = number
        signal.setitimer(signal.ITIMER_REAL, LOOK_S)
        return
    _STATE.raised, _STATE.raised_s = number, time.monotonic()
    raise Interrupted(number)


def _look_again(_: int, frame: FrameType | None) -> None:
    """Hears a signal that has been waiting."""
    number, _STATE.waiting = _STATE.waiting, None
    if number is not None:
        _hear(number, frame)


def _importing(frame: FrameType | None) -> bool:
    """Whether a module is half imported.

    Compiled modules make an ImportError of whatever ends an import of theirs, others catch
    everything: the signal would be lost, or take the form of a broken installation.
    """
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _leave_closed_terminal() -> None:
    """Keeps what is still to be said from failing where nobody can read it any more."""
    if not hasattr(select, "poll"):  # Windows: a closed console ends its processes itself
        return
    poll = select.poll()
    for descriptor in (1, 2):
        poll.register(descriptor, 0)
    for descriptor, event in poll.poll(0):
        if event & (select.POLLERR | select.POLLHUP):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, descriptor)
            os.close(nowhere)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
