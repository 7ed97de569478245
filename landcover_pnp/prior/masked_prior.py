"""The masked prior: a network that tells the classes of hidden pixels from those that it sees."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from landcover_pnp.errors import PriorError
from landcover_pnp.legend import WORKING, Legend
from landcover_pnp.prior.folder import PriorKind, legend_facts
from landcover_pnp.prior.masked_network import MaskedNetworkSettings, MaskedUNet
from landcover_pnp.prior.stored_prior import StoredPrior


@dataclass(frozen=True, eq=False)
class MaskedPrior(StoredPrior):
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

    @classmethod
    def _network(cls, config: Mapping[str, Any]) -> nn.Module:
        known = {f.name for f in fields(MaskedNetworkSettings)}
        told = {key: value for key, value in config.items() if key in known}
        network = MaskedUNet(MaskedNetworkSettings(**told), int(config["classes"]))
        if network.classes != len(WORKING.classes):
            raise ValueError(f"{network.classes} classes of a legend of {len(WORKING.classes)}")
        return network

    @classmethod
    def _of(cls, network: MaskedUNet, card: Mapping[str, Any]) -> Self:
        return cls(
            network,
            resolution_m=float(card["resolution_m"]),
            crop_px=int(card["crop_px"]),
            training=card["training"],
            licence=str(card["licence"]),
        )

    def _architecture(self) -> str:
        network = self.network
        config = {"classes": network.classes, **asdict(network.settings)}
        return json.dumps(config, indent=2, sort_keys=True) + "\n"

    def _facts(self) -> dict[str, Any]:
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
