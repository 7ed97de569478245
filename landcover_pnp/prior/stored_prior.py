"""What priors of every kind have in common: weights that rest, a folder, a fingerprint."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import safetensors.torch
import torch
from torch import nn

from landcover_pnp.errors import PriorError
from landcover_pnp.legend import Legend
from landcover_pnp.prior.folder import CARD, CONFIG, PriorKind, read_folder, shipped, write_folder


class StoredPrior(ABC):
    """A prior that is saved as a folder of three files and loaded from one.

    Attributes:
        kind: How it corrupts maps.
        network: The network.
        legend: Classes by their codes 1, 2, ...
        training: How it was trained and how well, as JSON; for people, read by nothing.
        licence: Licence of the weights.
    """

    kind: ClassVar[PriorKind]

    network: nn.Module
    legend: Legend
    training: Mapping[str, Any]
    licence: str

    def __post_init__(self) -> None:
        """Freezes the weights: no step of an engine ever computes their gradient.

        Convolutions run fastest with channels last, also on a CPU.
        """
        self.network.requires_grad_(False).eval()
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def channels(self) -> int:
        """Number of codes: one a class, and 0 for no data or hidden."""
        return len(self.legend.classes) + 1

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.network.parameters()).device

    @cached_property
    def fingerprint(self) -> str:
        """12 hex digits of a sha256 over weights and everything else that acts on a map."""
        digest = hashlib.sha256(json.dumps(self._facts(), sort_keys=True).encode())
        digest.update(self._architecture().encode())
        digest.update(self._weights(torch.float32))
        return digest.hexdigest()[:12]

    def save(self, folder: str | Path, dtype: torch.dtype = torch.float16) -> None:
        """Writes the prior; ``prior.json`` comes last and makes the rest valid.

        Args:
            folder: Made where it does not exist; an older prior in it is replaced.
            dtype: What the weights are rounded to.

        Raises:
            RequestError: If the folder holds something else than a prior.
        """
        card = {**self._facts(), "licence": self.licence, "training": self.training}
        write_folder(Path(folder), card, self._architecture(), self._weights(dtype))

    @classmethod
    def load(cls, folder: str | Path | None = None) -> Self:
        """Opens a prior, with every check that can be made before it is used.

        Args:
            folder: Folder that ``save`` wrote; None is the prior shipped in the package.

        Returns:
            The prior, float32 on the CPU.

        Raises:
            PriorError: If a file is missing or damaged, if the folder holds another kind of
                checkpoint or of prior, or if legend, channels or classes are not this package's.
        """
        if folder is None:
            with shipped(cls.kind) as path:
                return cls.load(path)
        files = read_folder(Path(folder), cls.kind)
        try:
            # On the meta device no weights are drawn only to be overwritten.
            with torch.device("meta"):
                network = cls._network(files.config)
            weights = {k: v.float() for k, v in safetensors.torch.load(files.weights).items()}
            network.load_state_dict(weights, assign=True)
            return cls._of(network, files.card)
        except ImportError:  # of an installation, not of the folder
            raise
        except Exception as error:  # libraries raise whatever a wrong value leads to
            raise PriorError(
                found=f"{folder}: weights, {CONFIG} and {CARD} do not fit together: {error}",
                expected="the three files of one prior, as `landcover train-prior` writes them",
                fix="copy the whole folder again",
            ) from error

    def _weights(self, dtype: torch.dtype = torch.float16) -> bytes:
        """The weights as they stand on disk."""
        weights = self.network.state_dict()
        return safetensors.torch.save({k: v.to(dtype).contiguous() for k, v in weights.items()})

    @classmethod
    @abstractmethod
    def _network(cls, config: Mapping[str, Any]) -> nn.Module:
        """The network of a ``config.json``, with weights of any value."""

    @classmethod
    @abstractmethod
    def _of(cls, network: Any, card: Mapping[str, Any]) -> Self:
        """The prior of a network and its ``prior.json``."""

    @abstractmethod
    def _architecture(self) -> str:
        """The network's ``config.json``."""

    @abstractmethod
    def _facts(self) -> dict[str, Any]:
        """What ``prior.json`` says about how the network is to be used."""
