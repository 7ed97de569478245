"""Which images are fetched: the fewest, newest ones that cover an area."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import shapely

from landcover_pnp.errors import CoverageWarning, SettingsError
from landcover_pnp.fetch.area import Area
from landcover_pnp.fetch.catalogue import Found

WHOLE = 0.999
"""Share of an area from which it counts as covered: footprints are rounded."""

SAME = 1e-4
"""Share of an area below which two images show as much of it."""


@dataclass(frozen=True)
class Chosen:
    """Images to fetch.

    Attributes:
        images: The images, those first that come first where they overlap.
        share: Share of the area that they cover, 0..1.
        notes: What was chosen, and what is missing; one sentence each.
    """

    images: tuple[Found, ...]
    share: float
    notes: tuple[str, ...]

    @property
    def years(self) -> tuple[int, ...]:
        """Years of the images, the newest first."""
        return tuple(sorted({image.year for image in self.images}, reverse=True))


def choose_images(
    items: Sequence[Found], area: Area, year: int | None = None, *, mixed_years: bool = False
) -> Chosen:
    """Chooses the fewest newest images that cover an area.

    Of one year they are chosen greedily, each by how much of what is not covered yet it shows;
    then those that the others make superfluous go. Several years are mixed only if that is
    allowed: newer ones come first then.

    Args:
        items: Images that touch the area, at least one.
        area: The area.
        year: The year wanted; None is the newest that covers as much as all years together.
        mixed_years: Whether images of several years may be put together.

    Returns:
        The images.

    Raises:
        SettingsError: If there are none of the year, or no single year covers the area.
    """
    shares = {y: _share(area, of_year(items, y)) for y in sorted({i.year for i in items})[::-1]}
    if year is not None and year not in shares:
        raise SettingsError(
            found=f"no images of {year}: there are " + _told(shares),
            expected="a year of which there are images",
            fix=f"set year to {min(shares, key=lambda y: abs(y - year))}, or leave it out",
        )
    everything = _share(area, items)
    if mixed_years:
        latest = year if year is not None else max(shares)
        order = sorted(shares, key=lambda y: (abs(y - latest), -y))
    elif year is not None:
        order = [year]
    else:
        order = [y for y, share in shares.items() if share >= min(WHOLE, everything - SAME)][:1]
        if not order:
            raise SettingsError(
                found=f"no single year covers {area.name}: there are images of " + _told(shares),
                expected="images of one year, which look alike",
                fix="set year to one of them, or mixed_years to true to put them together",
            )
    chosen: list[Found] = []
    for y in order:
        chosen += _cover(area, of_year(items, y), chosen)
    chosen = _needed(area, chosen)
    share = _share(area, chosen)
    if share < WHOLE:
        warnings.warn(
            f"the images cover {share:.1%} of {area.name}; the rest will be no data",
            CoverageWarning,
            stacklevel=2,
        )
    return Chosen(tuple(chosen), share, tuple(_notes(chosen, share, shares)))


def of_year(items: Iterable[Found], year: int) -> list[Found]:
    """The images of a year."""
    return [item for item in items if item.year == year]


def _cover(area: Area, items: Sequence[Found], before: Sequence[Found]) -> list[Found]:
    """Images that show what those before do not, the one that shows most first."""
    left = area.shape.difference(shapely.union_all([item.footprint for item in before]))
    chosen: list[Found] = []
    waiting = list(items)
    while waiting and left.area > SAME * area.shape.area:
        gains = [item.footprint.intersection(left).area / area.shape.area for item in waiting]
        most = max(gains)
        if most < SAME:
            break
        as_good = [i for i, g in zip(waiting, gains, strict=True) if g > most - SAME]
        best = max(as_good, key=lambda item: (item.date, item.name))
        chosen.append(best)
        waiting.remove(best)
        left = left.difference(best.footprint)
    return chosen


def _needed(area: Area, images: Sequence[Found]) -> list[Found]:
    """The images without those that all others make superfluous, older and smaller ones first."""
    kept, whole = list(images), _share(area, images)
    for image in reversed(images):
        others = [other for other in kept if other is not image]
        if others and _share(area, others) > whole - SAME:
            kept = others
    return kept


def _share(area: Area, items: Iterable[Found]) -> float:
    return area.share_in(shapely.union_all([item.footprint for item in items]))


def _told(shares: dict[int, float]) -> str:
    return ", ".join(f"{y} ({share:.0%} of the area)" for y, share in shares.items())


def _notes(chosen: Sequence[Found], share: float, shares: dict[int, float]) -> list[str]:
    years = sorted({image.year for image in chosen}, reverse=True)
    several = f"{len(chosen)} image{'s' * (len(chosen) != 1)}"
    said = f"{several} of {' and '.join(map(str, years))} cover {share:.1%} of the area"
    if len(years) > 1:
        said += "; images of several years are put together, the newest first"
    newer = [y for y in shares if y > years[0]]
    if newer:
        said += f"; newer images cover less: {_told({y: shares[y] for y in newer})}"
    return [said]
