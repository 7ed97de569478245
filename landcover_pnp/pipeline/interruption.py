"""Ctrl-C: the first one lets work in hand be finished, the second stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stoppable(tell: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """Takes Ctrl-C (SIGINT) for a wish to stop soon, while the block runs.

    Args:
        tell: Called at the first Ctrl-C with what happens now.

    Yields:
        A function that says whether to begin nothing new. In a thread other than the main one,
        where Python allows no signal handlers, it never does.
    """
    pressed = threading.Event()

    def press(_number: int, _frame: FrameType | None) -> None:
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()
        tell("stopping: tiles in hand are being finished; Ctrl-C again stops at once")

    if threading.current_thread() is not threading.main_thread():
        yield pressed.is_set
        return
    before = signal.signal(signal.SIGINT, press)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)
