"""Failpoints: places where a test can end a process as a power cut would."""

from __future__ import annotations

import os
import signal
from fnmatch import fnmatchcase
from pathlib import Path

PATTERN = "LANDCOVER_FAILPOINT"
"""Environment variable: pattern of the failpoint that ends the process, such as
``before-rename:landcover.tif`` or ``part-written:r*_map.tif``."""

ONCE = "LANDCOVER_FAILPOINT_ONCE"
"""Environment variable: file made at the first end; while it is there, nothing ends."""


def failpoint(name: str, file: str) -> None:
    """Kills this process (SIGKILL) where the environment asks for it; else does nothing.

    Args:
        name: What has just happened, or is just about to.
        file: Name of the file it happens to.
    """
    pattern = os.environ.get(PATTERN)
    if pattern is None or not fnmatchcase(f"{name}:{file}", pattern):
        return
    once = os.environ.get(ONCE)
    if once is not None:
        try:
            Path(once).touch(exist_ok=False)
        except FileExistsError:
            return
    # Windows has no SIGKILL; there SIGTERM ends a process without a word to it.
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
