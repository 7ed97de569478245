"""Errors and warnings of the package: one class tree, each message found / expected / fix."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class LandcoverError(Exception):
    """An error the user can act on; the command line prints it without a traceback.

    Args:
        found: What is the case, with the file and the values.
        expected: What should be the case instead.
        way_out: What the user can do about it.

    Attributes:
        exit_code: Exit status of the command line for this class of error.
    """

    exit_code = 1

    def __init__(self, found: str, expected: str, fix: str) -> None:
        super().__init__(found, expected, fix)
        self.found = found
        self.expected = expected
        self.fix = fix

    def __str__(self) -> str:
        """The message as the user reads it, three lines."""
        return f"found: {self.found}\n  expected: {self.expected}\n  fix: {self.fix}"


class RequestError(LandcoverError):
    """The request cannot be carried out as given: nothing was written (exit code 2)."""

    exit_code = 2


class SettingsError(RequestError):
    """A configuration key or value is wrong."""


class RasterError(RequestError):
    """A raster or vector file is missing, unreadable or not of the expected kind."""


class DamagedError(RasterError):
    """A raster file is there, but it or some of its pixels cannot be read."""


class AddressError(RasterError):
    """An address may not be opened, or there is nothing there that can be read."""


class LegendError(RequestError):
    """Class codes and legend do not fit."""


class GridError(RequestError):
    """Layers, areas or canvases do not lie on a usable common grid."""


class ResolutionError(GridError):
    """The pixels of the working grid are too fine, or too coarse.

    Args:
        found: As of every error.
        expected: As of every error.
        fix: As of every error.
        tries_m: Pixel sides, metres, that might do; whoever knows the whole request tries them.
    """

    def __init__(
        self, found: str, expected: str, fix: str, tries_m: tuple[float, ...] = ()
    ) -> None:
        super().__init__(found, expected, fix)
        self.tries_m = tries_m


class SampleError(RequestError):
    """A labelled sample does not fit the map, or is not labelled as it should be."""


class EditsError(RequestError):
    """A user's edits cannot be used, or the map cannot be corrected by them."""


class PriorError(RequestError):
    """A prior is damaged or does not fit the request."""


class SamplerError(RequestError):
    """What a sampler is given does not fit: shapes, channels, noise levels, operators."""


class ConstraintError(RequestError):
    """A constraint is none: without gradient, of a wrong shape, or not callable on this map."""


class FillError(RequestError):
    """There is nothing to fill a map from, or what is given for it cannot be used."""


class UnservedError(ResolutionError, PriorError):
    """A prior that was asked for does not serve the pixels of the working grid."""


class RunError(LandcoverError):
    """A run could not be finished; what is done stays (exit code 1)."""


class NetworkError(RunError):
    """A server did not answer as it should, also when it was asked again."""


class ModelError(RunError):
    """A student's file is damaged or of something else; the run that made it trains again."""


class DiskFullError(RunError):
    """There is no room left for a file; what is done stays."""


class RunGoneError(RunError):
    """The folder that a process works in was deleted, moved or replaced meanwhile."""


class RunLockedError(RequestError):
    """Another process works in the same run folder."""


class TileError(LandcoverError):
    """One tile could not be inferred; the tile is quarantined, the run goes on."""


class EngineError(TileError):
    """An engine failed or returned no probabilities; names its package."""


class LandcoverWarning(UserWarning):
    """Base class of the package's warnings; ``--strict`` makes them errors."""


class AlignmentWarning(LandcoverWarning):
    """A layer had to be warped or shifted onto the working grid."""


class ScaleWarning(LandcoverWarning):
    """Metres of the map's CRS are not metres on the ground."""


class SuspiciouslyEmptyWarning(LandcoverWarning):
    """A layer has far fewer valid pixels than its neighbours."""


class CollarWarning(LandcoverWarning):
    """The edge of an image has one value, as where there is no data, but none is declared."""


class ZonesWarning(LandcoverWarning):
    """Some zones had to be repaired, or hold nothing of the map."""


class WeakLabelsWarning(LandcoverWarning):
    """Weak labels say nothing at some pixels, or less than they should."""


class HiddenWarning(LandcoverWarning):
    """Hiding the pixels that a map is unsure of would hide all of it."""


class CoverageWarning(LandcoverWarning):
    """A layer that was fetched ends inside the area."""


class RenamedWarning(LandcoverWarning):
    """A key or word of an older version was read under its new name."""


@contextmanager
def strict() -> Iterator[None]:
    """A context in which the package's warnings are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", LandcoverWarning)
        yield


def nearest(name: str, known: Iterable[str]) -> str:
    """A ``did you mean`` phrase for a mistyped name.

    Args:
        name: The name that is not known.
        known: The names that are.

    Returns:
        ``did you mean 'x'?`` or, where nothing is close, the known names.
    """
    names = sorted(known)
    small = {known.lower(): known for known in names}
    close = difflib.get_close_matches(name.lower(), small, n=1, cutoff=0.5)
    if close:
        return f"did you mean {small[close[0]]!r}?"
    return "known are " + ", ".join(names) if len(names) <= 20 else "nothing known is close"
