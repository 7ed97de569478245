"""Priors of either kind, from their folders."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from landcover_pnp.prior.denoiser import Prior
from landcover_pnp.prior.folder import FILES, PriorKind, kind_of
from landcover_pnp.prior.masked_prior import MaskedPrior
from landcover_pnp.storage.files import file_state

AnyPrior = Prior | MaskedPrior
"""A prior of either kind; ``kind`` tells which."""


def load_prior(folder: str | Path | None, kind: PriorKind = "gaussian") -> AnyPrior:
    """Loads a prior once a process, and again when its files have changed.

    A notebook that trains a prior anew, and workers that outlive a run, would go on with the old.

    Args:
        folder: Folder of a prior of either kind; None is a shipped one.
        kind: Which of the shipped ones; of no account where a folder is named.

    Returns:
        The prior, float32 on the CPU.

    Raises:
        PriorError: As ``Prior.load`` and ``MaskedPrior.load``.
    """
    folder = None if folder is None else Path(folder)
    files = [folder / name for name in FILES] if folder else []
    state = tuple(tuple(file_state(file)) for file in files if file.is_file())
    return _loaded(folder, kind if folder is None else kind_of(folder), state)


@lru_cache(maxsize=2)  # one of each kind
def _loaded(folder: Path | None, kind: PriorKind, _state: tuple[tuple[int, ...], ...]) -> AnyPrior:
    return MaskedPrior.load(folder) if kind == "masked" else Prior.load(folder)
