"""What a conditional prior is told beside the noisy map: class shares, or a coarser map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from landcover_pnp.errors import PriorError
from landcover_pnp.legend import WORKING
from landcover_pnp.prior.noise import NoiseSchedule

if TYPE_CHECKING:
    from diffusers.models.unets.unet_2d import UNet2DModel

_ROUNDING = 1e-3
"""Shares may sum to one but for this: they are float32, or printed."""

_COARSE = 0.1
"""Mean squared error of a coarse map, summed over classes: of 20 pixels one has another class."""


class CoarseMap(NamedTuple):
    """A coarser label map as a condition.

    Attributes:
        z: (batch, channel, y, x) float32 one-hot maps on the coarse grid, with noise of level s.
        s: Their noise level, 0 (none) to T; one a map as a (batch,) integer tensor.
    """

    z: Tensor
    s: int | Tensor


Value = Tensor | CoarseMap
"""A condition: class shares (class,) or (batch, class) float32 from 0 up, or a coarse map."""


class Told(NamedTuple):
    """What the network is given beside x_t and t.

    Attributes:
        labels: For its class embedding: (batch, class) shares, or (batch,) noise levels.
        channels: Probabilities (batch, channel, y, x) beside which the network predicts the
            residual of the clean maps, see ``network_output``; None of one that does not.
    """

    labels: Tensor
    channels: Tensor | None = None

    def weights(self) -> Tensor:
        """How much errors count: (batch,), from 1, where channels tell nothing, to 9.3.

        Inverse to what they leave unknown, lest crops of which little is told outweigh the others.
        """
        if self.channels is None:
            return torch.ones(len(self.labels), device=self.labels.device)
        doubt = 1 - self.channels.square().sum(1).mean((1, 2))
        return (1 - 1 / self.channels.shape[1] + _COARSE) / (doubt + _COARSE)


@dataclass(frozen=True)
class ClassShares:
    """The share of each class of a crop; nothing known of it is a vector of zeros.

    A projection to the width of the time embedding is added to it: ``projection`` of diffusers'
    ``UNet2DConditionModel``, for which ``UNet2DModel`` leaves room by its type ``identity``. It
    starts at 0, so that a training goes on from an unconditional prior as that left it.
    """

    kind: ClassVar[Literal["class_shares"]] = "class_shares"
    channels: ClassVar[int] = 0
    embedding: ClassVar[str] = "identity"

    @property
    def facts(self) -> dict[str, Any]:
        """What ``prior.json`` says of it."""
        return {"kind": self.kind}

    def attach(self, network: UNet2DModel) -> None:
        """Gives the network the projection."""
        from diffusers.models.embeddings import TimestepEmbedding

        width = network.time_embedding.linear_2.out_features
        projection = TimestepEmbedding(len(WORKING.classes), width)
        for weight in projection.linear_2.parameters():
            torch.nn.init.zeros_(weight)
        network.class_embedding = projection  # type: ignore[assignment]  # any module of labels

    def learned(self, x0: Tensor, labelled: Tensor, dropped: Tensor, _: torch.Generator) -> Told:
        """The shares of training crops, over their labelled pixels.

        Args:
            x0: (batch, channel, y, x) one-hot, channel 0 for no data.
            labelled: (batch, y, x) float32 of 0 and 1.
            dropped: (batch,) bool: of which crops nothing is told.
        """
        counts = (x0[:, 1:] * labelled[:, None]).sum((2, 3))
        shares = counts / counts.sum(1, keepdim=True).clamp(min=1)
        return Told(torch.where(dropped[:, None], 0, shares))

    def given(self, value: Value | None, x_t: Tensor) -> Told:
        """Shares beside noisy maps; None tells nothing of them.

        Raises:
            PriorError: If it is no vector of shares, one for all maps or one each.
        """
        classes = len(WORKING.classes)
        if value is None:
            return Told(x_t.new_zeros(len(x_t), classes))
        if not isinstance(value, Tensor) or value.shape not in ((classes,), (len(x_t), classes)):
            raise PriorError(
                f"a condition {_described(value)}",
                f"the share of each class: ({classes},), or ({len(x_t)}, {classes}) for this batch",
                f"give one share each of {', '.join(WORKING.names)}",
            )
        sums = value.sum(-1)
        if not bool((value >= 0).all()) or not bool(((sums - 1).abs() <= _ROUNDING).all()):
            raise PriorError(
                f"class shares from {float(value.min()):.4g} that sum to "
                + ", ".join(f"{float(s):.4g}" for s in sums.reshape(-1)[:4]),
                "finite shares from 0 up that sum to 1",
                "divide them by their sum",
            )
        return Told(value.to(x_t).expand(len(x_t), classes))


@dataclass(frozen=True)
class CoarseMaps:
    """The most frequent class of each block of pixels, with noise of a level that is told.

    Noise-conditioning augmentation (Ho et al. 2022, Cascaded diffusion models, section 4.2): in
    training the level is random, so that the network learns how far to trust a map that a prior
    or an engine has drawn. Nothing known is a map of zeros at level T.

    The network is told the probabilities m of the coarse classes that the noise leaves, and is a
    diffusion model of the residual x0 - m (SRDiff, Li et al. 2022), which it predicts itself, its
    errors weighed alike at every t (as in ResShift, Yue et al. 2023): in terms of noise they
    would have no bound as t falls. It starts at 0: untrained, the prior
    predicts the coarse map.

    Attributes:
        factor: Side of a coarse pixel in pixels.
        schedule: Forward process of the coarse maps: the prior's.
    """

    kind: ClassVar[Literal["coarse_map"]] = "coarse_map"
    channels: ClassVar[int] = len(WORKING.classes) + 1
    embedding: ClassVar[str] = "timestep"

    factor: int
    schedule: NoiseSchedule

    @property
    def facts(self) -> dict[str, Any]:
        """What ``prior.json`` says of it."""
        return {"kind": self.kind, "factor": self.factor}

    def attach(self, network: UNet2DModel) -> None:
        """Makes the first residual 0; diffusers' own embedding of the level serves."""
        for weight in network.conv_out.parameters():
            torch.nn.init.zeros_(weight)

    def learned(self, x0: Tensor, _: Tensor, dropped: Tensor, draw: torch.Generator) -> Told:
        """Coarse maps of training crops with noise of levels s = T u^3, u evenly from 0 to 1.

        Low levels come more often: maps that are to be made finer are mostly right.

        Args:
            x0: (batch, channel, y, x) one-hot, channel 0 for no data.
            dropped: (batch,) bool: of which crops nothing is told.
            draw: Source of levels and noise, on the CPU.
        """
        z = coarse_one_hot(x0, self.factor)
        u = torch.rand(len(x0), generator=draw)
        s = (u.pow(3) * (self.schedule.steps + 1)).long().clamp_max(self.schedule.steps)
        noise = torch.randn(z.shape, generator=draw).to(z)
        noisy = self.schedule.add_noise(z, noise, s)
        s = torch.where(dropped.cpu(), self.schedule.steps, s).to(x0.device)
        return Told(s, self._upsampled(torch.where(dropped[:, None, None, None], 0, noisy), s))

    def given(self, value: Value | None, x_t: Tensor) -> Told:
        """Coarse maps beside noisy maps; None tells nothing of them.

        Raises:
            PriorError: If they are none, or do not fit the maps by channels or size.
        """
        steps = self.schedule.steps
        if value is None:
            value = CoarseMap(torch.zeros_like(x_t[..., :: self.factor, :: self.factor]), steps)
        wanted = (*x_t.shape[:2], *(-(-n // self.factor) for n in x_t.shape[2:]))
        if not isinstance(value, CoarseMap) or value.z.shape != wanted:
            raise PriorError(
                f"a condition {_described(value)} for maps of shape {tuple(x_t.shape)}",
                f"a CoarseMap of shape {wanted}: {self.channels} channels, each pixel "
                f"{self.factor} x {self.factor} of the map",
                "make the coarse map one-hot on its own grid, one for each map of the batch",
            )
        s = torch.as_tensor(value.s, device=x_t.device).expand(len(x_t))
        if not bool(value.z.isfinite().all()):
            wrong = int((~value.z.isfinite()).sum())
            raise PriorError(
                f"a coarse map of which {wrong} values are not finite",
                "finite values",
                "replace them by the class around them",
            )
        if not bool(((s >= 0) & (s <= steps)).all()):
            raise PriorError(
                f"a coarse map of noise level {int(s.min())} to {int(s.max())}",
                f"a level in 0..{steps}",
                "give 0 for a map without noise",
            )
        height, width = x_t.shape[-2:]
        return Told(s, self._upsampled(value.z.to(x_t), s)[..., :height, :width])

    def _upsampled(self, z: Tensor, s: Tensor) -> Tensor:
        """The clean map as far as z of level s tells it."""
        z = self.schedule.one_hot_mean(z, s)
        return z.repeat_interleave(self.factor, -2).repeat_interleave(self.factor, -1)


Condition = ClassShares | CoarseMaps
"""The kind of condition that a prior was trained with."""


def condition_of(kind: str | None, factor: int, schedule: NoiseSchedule) -> Condition | None:
    """The condition that settings name.

    Args:
        kind: ``class_shares``, ``coarse_map`` or None.
        factor: Of coarse maps.
        schedule: The prior's.
    """
    if kind == ClassShares.kind:
        return ClassShares()
    return CoarseMaps(factor, schedule) if kind == CoarseMaps.kind else None


def condition_in(card: Mapping[str, Any], schedule: NoiseSchedule) -> Condition | None:
    """The condition that the card of a prior names; None of an unconditional one.

    Raises:
        PriorError: If it is not known.
    """
    told = card.get("condition")
    if told is None:
        return None
    kind, factor = (told.get(k) for k in ("kind", "factor")) if isinstance(told, dict) else (0, 0)
    right = isinstance(factor, int) and factor > 0 if kind == CoarseMaps.kind else factor is None
    if not right or kind not in (ClassShares.kind, CoarseMaps.kind):
        raise PriorError(
            found=f"a prior with the condition {told!r}",
            expected=f"{ClassShares.kind}, or {CoarseMaps.kind} with a factor from 1 up",
            fix="use a prior by `landcover train-prior`, or a newer version of this package",
        )
    return condition_of(kind, factor or 1, schedule)


def told_by(condition: Condition | None, value: Value | None, x_t: Tensor) -> Told | None:
    """What a network is told of a condition, or of none.

    Raises:
        PriorError: If the condition does not fit, or the prior takes none.
    """
    if condition is not None:
        return condition.given(value, x_t)
    if value is not None:
        raise PriorError(
            f"a condition {_described(value)} for an unconditional prior",
            "a prior that was trained with denoiser.condition",
            "leave the condition out, or train such a prior with `landcover train-prior`",
        )
    return None


def network_output(
    network: Any, x_t: Tensor, t: int | Tensor, told: Told | None, schedule: NoiseSchedule
) -> Tensor:
    """What a network tells of noisy maps.

    With channels m it is given the noisy residual x_t - sqrt(abar_t) m, which is x0 - m with the
    noise of x_t, and puts out the clean one.

    Returns:
        (batch, channel, y, x): noise or velocity, or, with channels, the clean map.
    """
    m = None if told is None else told.channels
    x = x_t
    if m is not None:
        signal = schedule.alpha_bar(t).sqrt().reshape(-1, 1, 1, 1).to(x_t)
        x = torch.cat([x_t - signal * m, m], 1)
    output: Tensor = network(x, t, class_labels=None if told is None else told.labels).sample
    return output if m is None else m + output


def coarse_one_hot(x0: Tensor, factor: int) -> Tensor:
    """The most frequent class of each block, as ``label_maps.majority``: no data does not vote.

    Args:
        x0: (batch, channel, y, x) one-hot, channel 0 for no data; sides that factor divides.
        factor: Side of a block, pixels.

    Returns:
        (batch, channel, y / factor, x / factor) one-hot, among equals the lowest class.
    """
    votes = functional.avg_pool2d(x0, factor)
    votes[:, 0] *= 0.5 / factor**2  # below a single vote, above none
    return functional.one_hot(votes.argmax(1), x0.shape[1]).movedim(-1, 1).to(x0)


def _described(value: Any) -> str:
    if isinstance(value, CoarseMap):
        return f"of a coarse map {tuple(value.z.shape)}"
    if isinstance(value, Tensor):
        return f"of shape {tuple(value.shape)}"
    return f"of {type(value).__name__}"
