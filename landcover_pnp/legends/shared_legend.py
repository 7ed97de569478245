"""What two legends of the map can both tell: the classes in which their maps can be compared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from landcover_pnp.errors import LegendError
from landcover_pnp.legend import LandClass, Legend
from landcover_pnp.legends.result_legend import IMPERVIOUS, ResultLegend


@dataclass(frozen=True)
class SharedLegend:
    """The finest classes that are unions of classes of both legends.

    Attributes:
        legend: Their codes, names and colours, where it can be those of the first legend.
        first: Code of each class of the first legend -> code here.
        second: The same of the second legend.
        merged: Classes of the first legend that count as one, a text each, since the second does
            not tell them apart.
    """

    legend: Legend
    first: dict[int, int]
    second: dict[int, int]
    merged: tuple[str, ...]

    @classmethod
    def of(cls, first: ResultLegend, second: ResultLegend) -> SharedLegend:
        """Joins the classes of both that share ground.

        Raises:
            LegendError: If nothing but one class is left.
        """
        groups = _joined([*first.ground, *second.ground])
        if len(groups) == 1:
            raise LegendError(
                found=f"the legends {first.name!r} and {second.name!r} have no two classes that "
                "both can tell apart",
                expected="legends with a border in common, such as between water and land",
                fix="compare maps of one legend, or of one that is a coarser form of the other",
            )
        classes, merged = list[LandClass](), list[str]()
        codes = dict[int, int](), dict[int, int]()
        for ground in groups:
            a, b = (
                [c for c, held in zip(x.legend.classes, x.ground, strict=True) if held <= ground]
                for x in (first, second)
            )
            kept = a[0] if len(a) == 1 else _with(IMPERVIOUS, first, a)
            fitting = [kept.name] if len(a) == 1 else [c.name for c in b if len(b) == 1]
            named = [*fitting, _listed(a), f"{_listed(a)} ({kept.code})"]
            others = {c.name for c in first.classes if c.name != kept.name or len(a) > 1}
            name = next(name for name in named if name not in others)
            classes.append(LandClass(kept.code, name, kept.colour))
            for table, members in zip(codes, (a, b), strict=True):
                table.update(dict.fromkeys((c.code for c in members), kept.code))
            merged += [_listed(a)] if len(a) > 1 else []
        ordered = tuple(sorted(classes, key=lambda c: c.code))
        return cls(Legend(first.name, ordered), *codes, tuple(merged))


def _joined(parts: Iterable[frozenset[str]]) -> list[frozenset[str]]:
    """Unions of the parts that overlap, directly or by others."""
    groups: list[frozenset[str]] = []
    for part in parts:
        meeting = [group for group in groups if group & part]
        groups = [group for group in groups if not group & part]
        groups.append(part.union(*meeting))
    return groups


def _with(ground: str, legend: ResultLegend, members: list[LandClass]) -> LandClass:
    """The class that holds some ground; else the first one."""
    holders = {c.code for c in legend.classes if ground in c.of}
    return next((c for c in members if c.code in holders), members[0])


def _listed(members: Iterable[LandClass]) -> str:
    return " + ".join(c.name for c in members)
