"""Stub work for the task pool: light to import, so that worker processes start quickly."""

import os
import signal
import time
from pathlib import Path

from landcover_pnp.errors import DiskFullError


def noted(folder: Path, name: str) -> str:
    """Notes each try; what becomes of it depends on the name."""
    with (folder / name).open("a") as file:
        file.write("x")
    if name.startswith("poison"):
        time.sleep(0.2)  # others queue up behind it
        os.kill(os.getpid(), signal.SIGKILL)
    if name.startswith("unlucky") and len((folder / name).read_text()) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if name.startswith("wrong"):
        raise ZeroDivisionError("as expected")
    if name.startswith("full"):
        raise DiskFullError("no room", "room", "make room")
    time.sleep(0.02)
    return name.upper()
