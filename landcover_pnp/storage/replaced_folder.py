"""A folder of products that is replaced as a whole."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from landcover_pnp.storage.failpoints import failpoint


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """Makes a folder anew beside the old one, which it replaces when it is complete.

    Two renames replace it: whenever the process ends, either the old or the new folder is
    whole. Should it end between the two, the old one stands under ``.previous-*`` and the next
    call puts it back first.

    Args:
        folder: The folder; what is in it goes when the new one takes its place.

    Yields:
        An empty folder to write to; removed when the block fails.
    """
    staging = folder.with_name(f".partial-{folder.name}")
    previous = folder.with_name(f".previous-{folder.name}")
    if previous.exists() and not folder.exists():
        previous.rename(folder)
    for leftover in (staging, previous):
        if leftover.exists():
            shutil.rmtree(leftover)
    staging.mkdir(parents=True)
    try:
        yield staging
    except BaseException:
        shutil.rmtree(staging)
        raise
    failpoint("complete", folder.name)
    if folder.exists():
        folder.rename(previous)
        failpoint("moved-away", folder.name)
    staging.rename(folder)
    failpoint("replaced", folder.name)
    shutil.rmtree(previous, ignore_errors=True)
