"""Publishing with what is inferred for it: the one door of the command and of Python."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from landcover_pnp.products.finished import FinishedRun
from landcover_pnp.products.publishing import (
    PublishSummary,
    publish_run,
    require_publishable,
)
from landcover_pnp.products.settings import PublishSettings


def publish(run: Path, settings: PublishSettings | None = None) -> PublishSummary:
    """Makes all products of a finished run, and infers the ground under trees where asked to.

    Args:
        run: Folder of the run.
        settings: What to publish.

    Returns:
        What was published.

    Raises:
        RequestError: If the run is not finished or in use, or has no masked prior for what is
            to be inferred.
        RunError: If a product cannot be written.
    """
    chosen = settings or PublishSettings()
    notes: tuple[str, ...] = ()
    if chosen.ground_under_trees:
        from landcover_pnp.pipeline.under_trees import infer_ground  # torch: seconds

        finished = FinishedRun.open(run)
        require_publishable(finished, chosen)  # now rather than after the work
        notes = infer_ground(finished)
    summary = publish_run(run, chosen)
    return dataclasses.replace(summary, notes=(*notes, *summary.notes))
