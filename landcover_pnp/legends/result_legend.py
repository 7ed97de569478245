"""Legends of the map that a user gets: each class is a union of what inference tells apart.

Inference goes on in the working classes, whatever the legend. A coarser legend follows from their
probabilities; the one finer distinction, buildings, from the scene's own layer of buildings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.config import require_within
from landcover_pnp.config.texts import require_text
from landcover_pnp.errors import SettingsError, nearest
from landcover_pnp.legend import WORKING, LandClass, Legend
from landcover_pnp.legends.checks import read_legend, require_colour, require_once

IMPERVIOUS, BUILDINGS = "impervious", "buildings"
"""The working class that buildings are part of, and their name in ``ResultClass.of``."""

GROUND: tuple[str, ...] = (*WORKING.names, BUILDINGS)
"""What the classes of a legend share out among them."""

ROOF_SHARE = 0.5
"""Impervious ground is a building where buildings cover more than this share of a pixel."""

ResultName = Literal["five", "buildings"]
"""Legends that can be named: the working classes, and buildings apart from other impervious."""

RESULT_NAMES: tuple[ResultName, ...] = get_args(ResultName)
"""The same, to be listed."""


@dataclass(frozen=True)
class ResultClass:
    """A class of a legend of the map.

    Attributes:
        code: Pixel value, 1 to 255.
        name: Name as a map reader sees it, in any script.
        colour: Red, green, blue, each 0 to 255.
        of: The working classes that it holds, and ``buildings``; where a legend names
            ``buildings`` nowhere, they are part of ``impervious``.
    """

    code: int
    name: str
    colour: list[int]
    of: list[str]

    def __post_init__(self) -> None:
        """Refuses codes, colours and names that cannot be, and what no class can hold."""
        require_within(self, 1, 255, "code")
        require_colour(self.colour, self.code)
        require_text("name", self.name)
        if not any(letter.isalpha() for letter in self.name):
            raise SettingsError(
                found=f"name is {self.name!r} of code {self.code}",
                expected="a name with a letter in it: a number alone would be taken for a code",
                fix="name the class as a reader of the map knows it",
            )
        strange = [name for name in self.of if name not in GROUND]
        if strange or not self.of:
            raise SettingsError(
                found=f"of is {self.of} of code {self.code} ({self.name})"
                + (f": no class {strange[0]!r}, {nearest(strange[0], GROUND)}" if strange else ""),
                expected="one or more of " + ", ".join(GROUND),
                fix="name what the class holds",
            )


@dataclass(frozen=True)
class ResultLegend:
    """A legend of the map, one of the package or read from a YAML file.

    Attributes:
        name: Short name, as in configurations.
        classes: The classes; every working class belongs to one of them.
    """

    name: str
    classes: list[ResultClass]

    def __post_init__(self) -> None:
        """Refuses classes that leave ground out, share it, or cannot be told apart."""
        require_text("name", self.name)
        if not 1 < len(self.classes) <= len(GROUND):
            raise SettingsError(
                found=f"{len(self.classes)} classes in the legend {self.name!r}",
                expected=f"2 to {len(GROUND)} classes: each holds one or more of "
                + ", ".join(GROUND),
                fix="list them below `classes:`",
            )
        require_once(self.name, "code", (str(c.code) for c in self.classes))
        require_once(self.name, "name", (" ".join(c.name.casefold().split()) for c in self.classes))
        times = Counter(name for c in self.classes for name in c.of)
        twice = [name for name, count in times.items() if count > 1]
        if twice:
            holders = ", ".join(repr(c.name) for c in self.classes if twice[0] in c.of)
            raise SettingsError(
                found=f"{twice[0]!r} stands {times[twice[0]]} times in the legend {self.name!r}, "
                f"in {holders}",
                expected="every kind of ground in one class",
                fix=f"leave {twice[0]!r} in one of them",
            )
        missing = [name for name in WORKING.names if name not in times]
        if missing:
            raise SettingsError(
                found=f"no class of the legend {self.name!r} holds {', '.join(missing)}",
                expected="a class for every pixel: each of " + ", ".join(WORKING.names) + " in one",
                fix=f"add {missing[0]!r} to the `of` of a class, such as one named other",
            )

    @property
    def ordered(self) -> tuple[ResultClass, ...]:
        """The classes in the order of their codes, which is that of the class axis."""
        return tuple(sorted(self.classes, key=lambda c: c.code))

    @property
    def legend(self) -> Legend:
        """Codes, names and colours of the map."""
        if self.ordered == FIVE_CLASSES:
            return WORKING
        colours = ((c.colour[0], c.colour[1], c.colour[2]) for c in self.ordered)
        return Legend(
            WORKING.name if self.is_working else self.name,
            tuple(
                LandClass(c.code, c.name, colour)
                for c, colour in zip(self.ordered, colours, strict=True)
            ),
        )

    @property
    def is_working(self) -> bool:
        """Whether its classes are the working classes, in whatever colours."""
        return self.tells_the_same(FIVE)

    def tells_the_same(self, other: ResultLegend) -> bool:
        """Whether another legend has the same codes, names and classes, in whatever colours."""
        mine, theirs = ([(c.code, c.name, set(c.of)) for c in x.ordered] for x in (self, other))
        return mine == theirs

    @property
    def ground(self) -> tuple[frozenset[str], ...]:
        """What of ``GROUND`` each class holds, in the order of the codes; all of it together."""
        named = {name for c in self.classes for name in c.of}
        added = {BUILDINGS} - named
        return tuple(
            frozenset({*c.of, *(added if IMPERVIOUS in c.of else ())}) for c in self.ordered
        )

    @property
    def needs_buildings(self) -> bool:
        """Whether it tells buildings from other impervious ground."""
        return not any({IMPERVIOUS, BUILDINGS} <= held for held in self.ground)

    @property
    def working_codes(self) -> tuple[int, ...]:
        """Code of each working class; that of impervious ground is that of no building."""
        by_name = {name: c.code for c in self.classes for name in c.of}
        return tuple(by_name[name] for name in WORKING.names)

    @property
    def to_working(self) -> dict[int, int] | None:
        """Working code of each class; None where a class holds several of the working classes."""
        table = {}
        for c in self.classes:
            working = {IMPERVIOUS if name == BUILDINGS else name for name in c.of}
            if len(working) > 1:
                return None
            table[c.code] = WORKING.code(working.pop())
        return table

    def follows_from(self, legend: Legend) -> bool:
        """Whether a model of some classes can serve it: they are those that its classes hold."""
        return set(legend.names) == {name for held in self.ground for name in held} - {BUILDINGS}

    def holding(self, ground: str) -> tuple[int, ...]:
        """Positions of the classes that a working class makes up, it alone and all of it.

        Args:
            ground: Name of the working class; buildings count as impervious.

        Returns:
            Positions on the class axis; none where other ground is in one of them.
        """
        wanted = {ground, BUILDINGS} if ground == IMPERVIOUS else {ground}
        places = tuple(i for i, held in enumerate(self.ground) if held & wanted)
        return places if all(self.ground[i] <= wanted for i in places) else ()

    def of_working(
        self, p: NDArray[np.float32], roofs: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        """Probabilities of its classes: the sums of those that a class holds.

        Args:
            p: (class 5, y, x) float32 of the working classes.
            roofs: (y, x) share of a pixel that buildings cover, 0..1; None where the legend does
                not ask for them.

        Returns:
            (class, y, x) float32; sums to 1 where ``p`` does.
        """
        if self.is_working:
            return p
        parts = dict(zip(WORKING.names, p, strict=True))
        if self.needs_buildings:
            roof = np.asarray(roofs) > ROOF_SHARE
            parts[BUILDINGS] = np.where(roof, parts[IMPERVIOUS], np.float32(0))
            parts[IMPERVIOUS] = np.where(roof, np.float32(0), parts[IMPERVIOUS])
        summed = [sum(parts[name] for name in c.of if name in parts) for c in self.ordered]
        return np.asarray(summed, np.float32)

    @classmethod
    def load(cls, which: str | Path) -> ResultLegend:
        """A legend by its name, or of a YAML file.

        Raises:
            SettingsError: If there is neither, the nearest is named; or as the classes say.
        """
        if str(which) in RESULT_NAMES:
            return {"five": FIVE, "buildings": BUILDINGS_APART}[str(which)]
        path = Path(which)
        if not path.exists():
            raise SettingsError(
                found=f"no legend {path.name!r} of the map, and no file {path}",
                expected="one of " + ", ".join(RESULT_NAMES) + ", or a YAML file",
                fix=nearest(path.name.lower(), RESULT_NAMES),
            )
        return read_legend(cls, path)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> ResultLegend:
        """A legend of its values as JSON, as ``plain`` gives them.

        Raises:
            KeyError, TypeError: If they are no such values.
            SettingsError: As the classes say.
        """
        classes = [ResultClass(**given) for given in values["classes"]]
        whole = [number for c in classes for number in (c.code, *c.colour)]
        if {type(number) for number in whole} - {int} or not isinstance(values["name"], str):
            raise TypeError("a code or a colour is no whole number, or the name no text")
        return cls(**{**values, "classes": classes})


FIVE_CLASSES = tuple(ResultClass(c.code, c.name, list(c.colour), [c.name]) for c in WORKING.classes)

FIVE = ResultLegend("five", list(FIVE_CLASSES))
"""The working classes themselves."""

_ROOF = ResultClass(6, "buildings", [178, 60, 44], [BUILDINGS])

BUILDINGS_APART = ResultLegend(
    "buildings",
    [
        *(replace(c, name=f"other {c.name}") if c.of == [IMPERVIOUS] else c for c in FIVE_CLASSES),
        _ROOF,
    ],
)
"""Buildings apart; what was impervious keeps its code where there is none."""
