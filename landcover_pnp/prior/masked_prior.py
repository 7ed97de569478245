"""The masked prior: a network that tells the classes of hidden pixels from those that it sees."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import safetensors.torch
import torch
from torch import Tensor

from landcover_pnp.errors import PriorError
from landcover_pnp.legend import WORKING, Legend
from landcover_pnp.prior.folder import (
    CARD,
    CONFIG,
    PriorKind,
    legend_facts,
    read_folder,
    shipped,
    write_folder,
)
from landcover_pnp.prior.masked_network import MaskedNetworkSettings, MaskedUNet


@dataclass(frozen=True, eq=False)
class MaskedPrior:
    """An absorbing-state diffusion model over label maps, and what it was trained for.

    Its forward process hides pixels, each independently, until none is left (Austin et al. 2021,
    arXiv 2107.03006, section 3.1). Its network is given no noise level: what is hidden tells how
    much is (Sahoo et al. 2024, arXiv 2406.07524, section 3.4).

    Attributes:
        kind: How it corrupts maps, always ``masked``; ``Prior`` is the Gaussian kind.
        network: The U-Net. It is taken over: weights frozen, evaluation mode.
        resolution_m: Ground resolution of the label maps, metres.
        crop_px: Side of the training crops, pixels.
        legend: Classes by their codes 1, 2, ...; 0 is a hidden pixel.
        training: How it was trained and how well, as JSON; for people, read by nothing.
        licence: Licence of the weights.
    """

    kind: ClassVar[PriorKind] = "masked"

    network: MaskedUNet
    resolution_m: float
    crop_px: int
    legend: Legend = WORKING
    training: Mapping[str, Any] = field(default_factory=dict)
    licence: str = "Apache-2.0"

    def __post_init__(self) -> None:
        """Freezes the weights; convolutions run fastest with channels last, also on a CPU."""
        self.network.requires_grad_(False).eval()
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def channels(self) -> int:
        """Number of codes: one a class, and 0 for hidden."""
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

    def predict_classes(self, codes: Tensor) -> Tensor:
        """p(class | visible pixels) of every pixel, one by one, without gradient.

        Args:
            codes: (batch, y, x) int64 of any height and width, 0 where hidden or without data,
                else the class 1 to 5.

        Returns:
            (batch, class 5, y, x) float32, sums to 1. At visible pixels it is what the network
            makes of them, which nothing has trained.
        """
        with torch.inference_mode():
            logits: Tensor = self.network(codes.to(self.device))
            return logits.softmax(1)

    def save(self, folder: Path, dtype: torch.dtype = torch.float16) -> None:
        """Writes the prior; ``prior.json`` comes last and makes the rest valid.

        Args:
            folder: Made where it does not exist; an older prior in it is replaced.
            dtype: What the weights are rounded to.

        Raises:
            RequestError: If the folder holds something else than a prior.
        """
        card = {**self._facts(), "licence": self.licence, "training": self.training}
        write_folder(folder, card, self._architecture(), self._weights(dtype))

    @classmethod
    def load(cls, folder: Path | None = None) -> MaskedPrior:
        """Opens a prior, with every check that can be made before it is used.

        Args:
            folder: Folder that ``save`` wrote; None is the prior shipped in the package.

        Returns:
            The prior, float32 on the CPU.

        Raises:
            PriorError: If a file is missing or damaged, if the folder holds another kind of
                checkpoint or a Gaussian prior, or if legend or classes are not this package's.
        """
        if folder is None:
            with shipped(cls.kind) as path:
                return cls.load(path)
        files = read_folder(folder, cls.kind)
        card = files.card
        try:
            known = {f.name for f in fields(MaskedNetworkSettings)}
            told = {key: value for key, value in files.config.items() if key in known}
            # On the meta device no weights are drawn only to be overwritten.
            with torch.device("meta"):
                network = MaskedUNet(MaskedNetworkSettings(**told), int(files.config["classes"]))
            if network.classes != len(WORKING.classes):
                raise ValueError(f"{network.classes} classes of a legend of {len(WORKING.classes)}")
            weights = {k: v.float() for k, v in safetensors.torch.load(files.weights).items()}
            network.load_state_dict(weights, assign=True)
            return cls(
                network,
                resolution_m=float(card["resolution_m"]),
                crop_px=int(card["crop_px"]),
                training=card["training"],
                licence=str(card["licence"]),
            )
        except Exception as error:  # torch raises whatever a wrong value leads to
            raise PriorError(
                found=f"{folder}: weights, {CONFIG} and {CARD} do not fit together: {error}",
                expected="the three files of one prior, as `landcover train-prior` writes them",
                fix="copy the whole folder again",
            ) from error

    def _weights(self, dtype: torch.dtype = torch.float16) -> bytes:
        """The weights as they stand on disk."""
        weights = self.network.state_dict()
        return safetensors.torch.save({k: v.to(dtype).contiguous() for k, v in weights.items()})

    def _architecture(self) -> str:
        """The network's ``config.json``."""
        network = self.network
        config = {"classes": network.classes, **asdict(network.settings)}
        return json.dumps(config, indent=2, sort_keys=True) + "\n"

    def _facts(self) -> dict[str, Any]:
        """What ``prior.json`` says about how the network is to be used."""
        return {
            "kind": self.kind,
            "legend": legend_facts(),
            "resolution_m": self.resolution_m,
            "crop_px": self.crop_px,
        }


def load_start(network: MaskedUNet, folder: Path) -> str:
    """Copies the weights of a prior that a training starts from.

    Returns:
        Its fingerprint.

    Raises:
        PriorError: If it is damaged, or has another architecture.
    """
    start = MaskedPrior.load(folder)
    if start.network.settings != network.settings:
        raise PriorError(
            found=f"{folder} has the network {asdict(start.network.settings)}",
            expected=f"a prior of the same settings of the network, {asdict(network.settings)}",
            fix="correct the settings of the network, or leave start out",
        )
    network.load_state_dict(start.network.state_dict())
    return start.fingerprint
