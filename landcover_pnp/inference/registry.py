"""Engines by name: those of this package, of other installed packages, and of the running program.

An engine of this package is a module of ``inference.engines``. A package of someone else names
its own under the entry points ``landcover_pnp.engines``::

    [project.entry-points."landcover_pnp.engines"]
    smooth = "their_package.smooth:Smooth"

Nothing here imports torch, so that ``--help`` can list engines and their settings at once.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from landcover_pnp.config.plugin_settings import choices, one_of
from landcover_pnp.errors import SettingsError, nearest
from landcover_pnp.inference.checks import engine_class, made_engine

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from landcover_pnp.inference.task import Task

GROUP = "landcover_pnp.engines"
"""Group of the entry points that other packages register their engines by."""

OURS = "landcover-pnp"
"""Name of the package that the built-in engines are of."""

E = TypeVar("E")
S = TypeVar("S")

_STARTS = "starts"


class Engine(Protocol[S]):
    """A way to infer the map of one canvas from its observations, with or without a prior.

    Attributes:
        name: Its name in ``inference.engine``, and of its block of settings.
        needs_prior: Whether ``run`` asks for a prior. One that does may have ``prior_kind`` too:
            ``gaussian``, which is assumed otherwise, ``masked``, or a tuple of those it takes,
            the one that is loaded unless another is named first.
        Settings: Frozen dataclass of its own settings; all have defaults. Two kinds of field have
            a meaning for the whole program: one made by ``start_from`` names another engine, whose
            settings then count too, and ``spectral_indices: bool`` says whether
            ``observations.spectral_indices`` are wanted.
    """

    name: str
    needs_prior: bool
    Settings: type[S]

    def check(self, settings: S, prior: Any) -> None:
        """Refuses settings that no tile could be inferred with, before any work.

        Args:
            settings: The engine's own settings.
            prior: The prior, of a kind that it takes; None if it needs none.

        Raises:
            SettingsError: On such settings; a ValueError becomes one.
        """

    def run(self, task: Task[S]) -> Tensor | NDArray[Any]:
        """Infers a map.

        Args:
            task: Observations, settings, prior and seed of one canvas.

        Returns:
            (class 5, y, x) probabilities of the classes, or (channel 6, y, x) with the prior's no
            data in front: finite, from 0 up and summing to 1 at valid pixels; elsewhere anything.

        Raises:
            TileError: If this canvas cannot be inferred.
        """


class _Registered(NamedTuple):
    """An engine, and the package and version that it is of, or the module that registered it."""

    engine: Engine[Any]
    package: str


class _TwoError(SettingsError):
    """Two engines of one name: of neither can be said that it is meant."""


class _Broken(NamedTuple):
    """An entry point that could not be loaded, and why."""

    package: str
    reason: str


def start_from(*others: str, default: str) -> Any:
    """A field of an engine's settings that names what it starts from.

    Args:
        *others: Words besides the engines' names, such as ``weak_labels``.
        default: The default.
    """
    return one_of(lambda: (*others, *engine_names()), default, **{_STARTS: True})


def starts(settings: Any) -> list[str]:
    """Names of the engines that one with these settings starts from.

    Raises:
        SettingsError: If a field made by ``start_from`` holds a word it does not know.
    """
    names = []
    for field in dataclasses.fields(settings):
        known, name = choices(field), getattr(settings, field.name)
        if not known or not field.metadata.get(_STARTS):
            continue
        if name not in known:
            raise SettingsError(
                found=f"{field.name} is {name}",
                expected="one of " + ", ".join(known),
                fix=nearest(str(name), known),
            )
        names += [name] if name in engine_names() else []
    return names


def register_engine(engine: E) -> E:
    """Registers an engine of the running program; also a decorator of its class.

    Args:
        engine: An engine, or its class if that is made without arguments. One of the same name
            that the same class registered before is replaced.

    Returns:
        The same.

    Raises:
        SettingsError: If it is no engine, or another one has its name.
    """
    module = engine_class(engine).__module__
    top = module.partition(".")[0]
    package = OURS if top == __name__.partition(".")[0] else f"the module {module}"
    new = _Registered(made_engine(engine, package), _loading[-1] if _loading else package)
    if package != OURS:
        _import_built_in()
        # Not loaded to compare: this may be the import of one of them.
        for point in entry_points(group=GROUP):
            if point.name == new.engine.name and point.module.partition(".")[0] != top:
                raise _two(new.engine.name, _package(point), new.package)
    _add(_registered, new)
    return engine


def engine(name: str) -> Engine[Any]:
    """An engine by its name.

    Raises:
        SettingsError: If there is none, or its package cannot be loaded; names the nearest.
    """
    known = _known()
    if name in known:
        return known[name].engine
    _, broken = _installed(tuple(sys.path))
    if name in broken:
        raise SettingsError(
            found=f"the engine {name!r} of {broken[name].package} cannot be loaded: "
            f"{broken[name].reason}",
            expected="a package whose entry point is an engine, its class, or its module",
            fix="mend or update that package, or take another engine",
        )
    raise SettingsError(
        found=f"the engine {name!r}",
        expected="one of " + ", ".join(known),
        fix=nearest(name, known),
    )


def package_of(name: str) -> str:
    """Package and version of an engine, ``OURS`` of a built-in one, or the module it is from."""
    return _known()[name].package


def engine_names() -> tuple[str, ...]:
    """Names of all engines there are, in alphabetical order."""
    return tuple(_known())


def engine_words() -> tuple[str, ...]:
    """The same and the names of those that cannot be loaded, so that asking for one says why."""
    return tuple(sorted({*_known(), *_installed(tuple(sys.path))[1]}))


def engine_blocks() -> dict[str, type[Any]]:
    """Settings dataclasses of all engines, by name."""
    return {name: known.engine.Settings for name, known in _known().items()}


def registered_here() -> tuple[Any, ...]:
    """Engines that no other process knows of: the running program registered them itself."""
    return tuple(known.engine for known in _registered.values() if known.package != OURS)


_registered: dict[str, _Registered] = {}
"""Engines registered by ``register_engine``, the built-in ones among them."""

_loading: list[str] = []
"""The package whose entry point is being loaded: what registers itself meanwhile is of it."""


def _known() -> dict[str, _Registered]:
    """All engines by name, in alphabetical order."""
    _import_built_in()
    installed, _ = _installed(tuple(sys.path))
    known = dict(_registered)
    for one in installed:
        _add(known, one)
    return dict(sorted(known.items()))


@cache
def _import_built_in() -> None:
    folder = importlib.import_module("landcover_pnp.inference.engines")
    for module in pkgutil.iter_modules(folder.__path__, f"{folder.__name__}."):
        importlib.import_module(module.name)


@cache
def _installed(path: tuple[str, ...]) -> tuple[list[_Registered], dict[str, _Broken]]:
    """Engines of other installed packages, and entry points that cannot be loaded, by name.

    Args:
        path: Where packages are looked for: ``sys.path``.
    """
    del path
    found, broken = list[_Registered](), dict[str, _Broken]()
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, _package(point))):
        package = _package(point)
        _loading.append(package)
        try:
            loaded = point.load()
            engines = _in_module(loaded) if isinstance(loaded, ModuleType) else [loaded]
            found += [_Registered(made_engine(one, package), package) for one in engines]
        except _TwoError:
            raise
        except Exception as error:  # of any kind: it is another's code
            broken[point.name] = _Broken(package, f"{type(error).__name__}: {error}")
        finally:
            _loading.pop()
    return found, broken


def _in_module(module: ModuleType) -> Iterable[Any]:
    """The engines that a module registered when it was imported."""
    engines = [known.engine for known in _registered.values()]
    found = [one for one in engines if engine_class(one).__module__ == module.__name__]
    if not found:
        raise ValueError(f"{module.__name__} registers no engine")
    return found


def _package(point: EntryPoint) -> str:
    dist = point.dist
    return f"{dist.name} {dist.version}" if dist else point.value


def _add(known: dict[str, _Registered], new: _Registered) -> None:
    """Adds an engine unless another one has its name."""
    name = new.engine.name
    old = known.get(name)
    if old and _identity(old.engine) != _identity(new.engine):
        raise _two(name, old.package, new.package)
    known[name] = new


def _two(name: str, one: str, other: str) -> _TwoError:
    return _TwoError(
        found=f"two engines named {name!r}, of {one} and of {other}",
        expected="one engine of each name",
        fix="rename one of them, or uninstall one of the packages",
    )


def _identity(engine: Any) -> tuple[str, str]:
    kind = engine_class(engine)
    return kind.__module__.replace("__mp_main__", "__main__"), kind.__qualname__  # of workers too
