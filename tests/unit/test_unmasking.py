"""Samples and likelihood of masked priors whose joint distribution is known.

Monte Carlo errors are stated: a figure may be four standard errors from what it must be.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from masked_priors import in_pairs, independent, known, tiny_masked
from numpy.typing import NDArray

from landcover_pnp.errors import SettingsError
from landcover_pnp.prior.likelihood import likelihood
from landcover_pnp.prior.sampling import draw_masked, sample_maps
from landcover_pnp.prior.unmasking import UnmaskSettings, unmask

SHARES = (0.1, 0.45, 0.05, 0.25, 0.15)
COUNT, SIDE = 256, 8


def entropy(*p: float) -> float:
    """Bits."""
    return float(-sum(x * np.log2(x) for x in p if x))


def drawn(seed: int = 0) -> NDArray[np.uint8]:
    """Maps of independent pixels: (map, y, x)."""
    random = np.random.default_rng(seed)
    return random.choice(np.arange(1, 6), (COUNT, SIDE, SIDE), p=SHARES).astype(np.uint8)


def drawn_in_pairs(share: float, alike: float) -> NDArray[np.uint8]:
    """Maps of the joint distribution of ``in_pairs``: (map, y, x)."""
    random = np.random.default_rng(1)
    first = random.random((COUNT, SIDE, SIDE // 2)) < share
    after = np.where(first, alike, share * (1 - alike) / (1 - share))
    second = random.random(first.shape) < after
    return np.where(np.stack([first, second], -1).reshape(COUNT, SIDE, SIDE), 1, 2).astype(np.uint8)


@pytest.mark.parametrize("order_noise", [0.0, 1.0, 100.0])
def test_samples_of_independent_pixels_have_the_prior_s_class_shares(order_noise: float) -> None:
    """Choosing pixels by the class that was drawn, as MaskGIT does, would favour frequent ones."""
    noise = torch.randn(6, COUNT, 6, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    codes = torch.zeros(COUNT, SIDE, SIDE, dtype=torch.int64)
    settings = UnmaskSettings(6, order_noise=order_noise)
    maps = unmask(known(independent(*SHARES)), codes, settings, lambda step: noise[step])
    pixels = COUNT * SIDE**2
    for code, share in enumerate(SHARES, start=1):
        error = (share * (1 - share) / pixels) ** 0.5
        assert float((maps == code).float().mean()) == pytest.approx(share, abs=4 * error)


@pytest.mark.parametrize(("share", "alike"), [(0.5, 0.9), (0.3, 0.8), (0.5, 0.1)])
def test_samples_of_dependent_pixels_agree_as_often_as_they_must(
    share: float, alike: float
) -> None:
    """One pixel of a map in each step: what is drawn at once is drawn independently."""
    prior = known(in_pairs(share, alike), crop_px=2)
    maps = draw_masked(prior, 2000, UnmaskSettings(16), 0)
    left, right = maps[:, :, 0] == 1, maps[:, :, 1] == 1
    assert set(np.unique(maps)) == {1, 2}
    for found, expected in (
        (left.mean(), share),
        (right.mean(), share),
        ((left & right).mean(), share * alike),
    ):
        error = (expected * (1 - expected) / left.size) ** 0.5
        assert found == pytest.approx(expected, abs=4 * error)


def test_a_lower_temperature_draws_likelier_classes() -> None:
    noise = torch.randn(4, 64, 6, 8, 8, generator=torch.Generator().manual_seed(0))
    codes = torch.zeros(64, 8, 8, dtype=torch.int64)
    settings = UnmaskSettings(4, temperature=0.5)
    maps = unmask(known(independent(*SHARES)), codes, settings, lambda step: noise[step])
    squares = np.square(SHARES)
    found = np.bincount(maps.flatten().numpy(), minlength=6)[1:] / maps.numel()
    np.testing.assert_allclose(found, squares / squares.sum(), atol=0.03)


@pytest.mark.parametrize("steps", [1, 3, 40])
def test_what_is_visible_stays_and_nothing_is_left_hidden(steps: int) -> None:
    draw = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 6, (3, 7, 9), generator=draw)
    codes[1] = 3  # a map without anything hidden
    noise = torch.randn(steps, 3, 6, 7, 9, generator=draw)
    maps = unmask(tiny_masked(), codes, UnmaskSettings(steps), lambda step: noise[step])
    assert torch.equal(maps[codes > 0], codes[codes > 0])
    assert int(maps.min()) >= 1
    assert int(maps.max()) <= 5


def test_the_surest_pixels_come_first() -> None:
    """A row of falling confidence: the visible ones are always those at its head."""
    seen: list[torch.Tensor] = []

    def conditionals(codes: torch.Tensor) -> torch.Tensor:
        seen.append(codes[0, 0] > 0)
        sure = torch.linspace(0.9, 0.3, 12)[None, None]
        return torch.cat([sure, *([(1 - sure) / 4] * 4)])[None]

    codes = torch.zeros(1, 1, 12, dtype=torch.int64)
    noise = torch.zeros(1, 6, 1, 12)
    unmask(known(conditionals), codes, UnmaskSettings(5, order_noise=0), lambda _: noise)
    numbers = [int(visible.sum()) for visible in seen]
    assert all(bool(visible[:n].all()) for visible, n in zip(seen, numbers, strict=True))
    assert numbers == sorted(set(numbers)), "every step reveals something"


def test_a_sample_does_not_depend_on_how_many_are_drawn_with_it() -> None:
    prior = tiny_masked()
    few, many = (sample_maps(prior, count, 5, 3) for count in (2, 5))
    np.testing.assert_array_equal(few, many[:2])
    assert (sample_maps(prior, 2, 5, 4) != few).any()


def test_the_bound_of_independent_pixels_is_their_entropy() -> None:
    found = likelihood(known(independent(*SHARES)), drawn(), 0)
    expected = entropy(*SHARES)
    assert found.bits_per_pixel == pytest.approx(expected, abs=4 * found.standard_error)
    assert 0 < found.standard_error < 0.01
    assert found.blind == pytest.approx(expected, abs=0.02)
    assert max(found.bits) - min(found.bits) < 0.1


@pytest.mark.parametrize(("share", "alike"), [(0.5, 0.9), (0.3, 0.8)])
def test_the_bound_of_pairs_is_half_their_joint_entropy(share: float, alike: float) -> None:
    maps = drawn_in_pairs(share, alike)
    found = likelihood(known(in_pairs(share, alike)), maps, 0)
    after = share * (1 - alike) / (1 - share)
    second = share * entropy(alike, 1 - alike) + (1 - share) * entropy(after, 1 - after)
    joint = entropy(share, 1 - share) + second
    assert found.bits_per_pixel == pytest.approx(joint / 2, abs=4 * found.standard_error)
    assert found.standard_error < 0.01 < found.blind - found.bits_per_pixel
    assert list(found.bits) == sorted(found.bits), "the more is hidden, the less is known"


def test_unlabelled_pixels_are_hidden_and_do_not_count() -> None:
    """All that is labelled is water, and the prior knows it; what is not labelled it does not."""
    maps = np.ones((16, 6, 6), np.uint8)
    maps[:, :, 3:] = 0
    maps[0] = 0

    def conditionals(codes: torch.Tensor) -> torch.Tensor:
        assert not bool(codes[:, :, 3:].any())
        return independent(1, 0, 0, 0, 0)(codes)

    found = likelihood(known(conditionals), maps, 0)
    assert found.bits_per_pixel == pytest.approx(0, abs=1e-6)
    assert set(found.restored) == {1.0}


def test_a_wrong_prior_costs_the_divergence_besides() -> None:
    wrong = (0.2, 0.2, 0.2, 0.2, 0.2)
    found = likelihood(known(independent(*wrong)), drawn(), 0)
    assert found.bits_per_pixel == pytest.approx(np.log2(5), abs=1e-6)


@pytest.mark.parametrize("change", [{"steps": 0}, {"temperature": 0.0}, {"order_noise": -1.0}])
def test_settings_that_reveal_nothing_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=next(iter(change))):
        UnmaskSettings(**change)  # type: ignore[arg-type]
