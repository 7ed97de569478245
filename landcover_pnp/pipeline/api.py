"""The stages as a library: a scene in, arrays out; the same functions as the command line."""

from __future__ import annotations

import dataclasses
import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import rasterio
import xarray as xr
import yaml
from numpy.typing import NDArray

from landcover_pnp.config import load_settings
from landcover_pnp.errors import SettingsError
from landcover_pnp.evaluation.scores import Scores, evaluate_map, require_scored
from landcover_pnp.evaluation.truth_legend import Scheme, TruthName, truth_legend
from landcover_pnp.legend import WORKING
from landcover_pnp.legends.result_legend import ResultName
from landcover_pnp.pipeline.profiles import DEFAULT_PROFILE
from landcover_pnp.pipeline.publish import publish as publish_products
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.products.dataset import LandCover, open_run, run_of
from landcover_pnp.products.publishing import PublishSummary
from landcover_pnp.products.settings import PublishSettings
from landcover_pnp.scenes.array_files import write_array
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.scenes.settings import SceneSettings
from landcover_pnp.storage.map_legend import legend_in, legend_tags
from landcover_pnp.storage.newest import newest
from landcover_pnp.storage.run_folder import RunFolder

if TYPE_CHECKING:
    from landcover_pnp.grid import Box
    from landcover_pnp.inference.constraints import Constraint
    from landcover_pnp.inference.observations import Observations
    from landcover_pnp.inference.step import Step
    from landcover_pnp.pipeline.observe import Observer
    from landcover_pnp.pipeline.progress import Progress
    from landcover_pnp.prior.loading import AnyPrior

LOG = logging.getLogger("landcover_pnp")
"""What a run has to say of itself; silent unless the program sets up logging."""


def map_scene(
    scene: Scene,
    *,
    profile: Literal["paper", "balanced", "fast"] = DEFAULT_PROFILE,
    engine: str | None = None,
    student: Literal["forest", "unet", False] | None = None,
    prior: str | Path | None = None,
    matrix_source: Literal["definitions", "target"] = "definitions",
    legend: ResultName | str | Path = "five",
    workers: int = 0,
    seed: int = 0,
    run: str | Path | None = None,
    keys: Mapping[str, Any] | None = None,
) -> LandCover:
    """Maps a scene; the same call again goes on where it was, or finds all done.

    Args:
        scene: The scene, of ``open_scene`` or ``synthetic_scene``.
        profile: What sets all that is not given, see ``pipeline.profiles``.
        engine: Name of the engine; None is the profile's.
        student: Image model that draws the map at the image's resolution; False leaves the
            engine's map on the working grid, None is the profile's choice.
        prior: Folder of the prior; None is the shipped one.
        matrix_source: Where p(class | code) of the coarse maps comes from.
        legend: Legend of the map: ``five``, ``buildings``, or a YAML file of one.
        workers: Worker processes of one thread; 0 works in this process.
        seed: Seed of everything random.
        run: Run folder, a new or empty one or that of the same map; None is the scene's own, which
            is temporary unless ``open_scene`` was given a folder.
        keys: Further settings by the names they have in configuration files, such as
            ``{"inference.denoise.t": 100}``.

    Returns:
        The map as one dataset, see ``LandCover``; its pixels stay in the run folder.

    Raises:
        RequestError: If the request cannot be carried out.
        RunError: If a product cannot be written.
    """
    if scene.files is None:
        raise SettingsError(
            found=f"the scene of {scene.folder}, without the files it was made of",
            expected="a scene of open_scene or synthetic_scene",
            fix="open its files with open_scene",
        )
    from landcover_pnp.pipeline.map import map_city

    wanted: dict[str, Any] = {
        "profile": profile,
        "inference.engine": engine,
        "student.model": student or None,
        "inference.prior": prior,
        "weak_labels.matrix_source": matrix_source,
        "legend": legend,
        "workers": workers,
        "seed": seed,
    }
    given = {key: value for key, value in wanted.items() if value is not None}
    if student is False:
        given["student"] = None
    settings = dataclasses.replace(
        _settings({**given, **(keys or {})}),
        scene=SceneSettings(rasters=scene.files, resolution_m=scene.resolution_m),
    )
    folder = scene.folder.parent if run is None else Path(run)
    map_city(settings, folder, _log)
    return open_run(folder, holds=scene)  # a temporary run folder lives as long as its map


def weak_labels(scene: Scene, box: Box | None = None) -> xr.DataArray:
    """What the coarse map, roads, buildings and water say of a scene.

    p(class | code) of each coarse map comes from the definitions of its legend.

    Args:
        scene: The scene.
        box: Working pixels; None is all of it.

    Returns:
        (class, y, x) float32 probabilities, sum to 1 where there is data.
    """
    window = box or scene.extent
    p = _observer(scene).weak_labels_in(scene, window)
    coordinates = scene.coordinates(window)
    return xr.DataArray(
        p,
        {**coordinates, "class": list(WORKING.names)},
        ("class", "y", "x"),
        "weak_labels",
        {"long_name": "class probability given coarse labels", "units": "1"},
    )


def observe(scene: Scene, box: Box | None = None, *, seed: int = 0) -> Observations:
    """What an engine is given of a scene: clusters, weak labels, spectral indices.

    Args:
        scene: The scene.
        box: Working pixels, as large as memory allows; None is all of the scene.
        seed: Seed of the clusters.
    """
    return _observer(scene, seed).observe(scene, box or scene.extent)


def infer(
    observations: Observations,
    engine: str = "evidence",
    *,
    prior: AnyPrior | None = None,
    seed: int = 0,
    constraints: Sequence[Constraint] = (),
    callback: Callable[[Step], None] | None = None,
    **options: Any,
) -> NDArray[np.float32]:
    """Infers the map of one canvas.

    Args:
        observations: Of ``observe``, or made by hand.
        engine: Name of the engine.
        prior: The prior; None is the shipped one of the kind that the engine takes, where it
            needs one.
        seed: Seed of everything random.
        constraints: Constraints of one's own; they hold in the map of every engine.
        callback: Called at every step with the paper's quantities.
        **options: Settings of the engine.

    Returns:
        (class 5, y, x) float32 probabilities: sum to 1 where valid, 0 elsewhere.

    Raises:
        SettingsError: On an engine or an option that is not known; names the nearest.
        TileError: If a term of the inference is not finite.
    """
    from landcover_pnp.inference.choice import prior_of
    from landcover_pnp.inference.engine import infer as infer_canvas

    words = {f"inference.{engine}.{key}": value for key, value in options.items()}
    settings = _settings({"inference.engine": engine, **words}).inference
    if prior is None:
        prior = prior_of(settings)
    return infer_canvas(observations, settings, prior, seed, callback, constraints)


def evaluate(
    result: LandCover | xr.DataArray | str | Path,
    truth: str | Path,
    *,
    legend: TruthName | str | Path = "enviroatlas",
    scheme: Scheme = "five_classes",
    overlap: bool = False,
) -> Scores:
    """Scores a map against truth.

    Args:
        result: Of ``map_scene`` or ``open_run``; or a run folder, a class raster, or an array of
            one; what says no legend is in working codes.
        truth: Label raster; any grid that covers the same ground.
        legend: Legend of the truth, as ``EvaluateSettings`` has it.
        scheme: See ``evaluation.Scheme``.
        overlap: Whether truth and map may cover different ground; what both cover is scored.

    Returns:
        The scores, such as ``accuracy`` and ``mean_iou``.

    Raises:
        RasterError: If a raster cannot be read.
        GridError: If the truth covers other ground.
        LegendError: If the truth holds unknown codes, or no label.
    """
    told = truth_legend(legend)

    def scored(path: Path) -> Scores:
        scores = evaluate_map(path, Path(truth), told, scheme, overlap=overlap)
        require_scored(scores, Path(truth), path)
        return scores

    if isinstance(result, xr.Dataset) and "run" in result.attrs:
        return scored(newest(RunFolder(Path(result.attrs["run"]))).landcover)
    if isinstance(result, (str, Path)):
        path = Path(result)
        return scored(newest(RunFolder(path)).landcover if path.is_dir() else path)
    array = result["landcover"] if isinstance(result, xr.Dataset) else result
    with tempfile.TemporaryDirectory(prefix="landcover-") as folder:
        path = Path(folder) / "map.tif"
        write_array(array, path, "map")
        with rasterio.open(path, "r+") as target:
            target.update_tags(**legend_tags(legend_in(array.attrs)))
        return scored(path)


def publish(result: LandCover | str | Path, **options: Any) -> PublishSummary:
    """Makes the products of a finished run: QGIS project, polygons, report, STAC item.

    Args:
        result: Of ``map_scene`` or ``open_run``, or a run folder.
        **options: Fields of ``PublishSettings``, such as ``title``.

    Returns:
        Where they lie.

    Raises:
        RequestError: If the run is not finished or in use, or an option is not known.
        RunError: If a product cannot be written.
    """
    words = _words(options)
    return publish_products(run_of(result), load_settings(PublishSettings, overrides=words))


def _log(progress: Progress) -> None:
    if progress.note:
        LOG.info(progress.note)


def _observer(scene: Scene, seed: int = 0) -> Observer:
    from landcover_pnp.evidence.scene_borders import scene_borders
    from landcover_pnp.pipeline.observe import Observer as ObserverClass

    defaults = _settings({})
    borders = scene_borders([scene])
    matrices = tuple(legend.definitions for legend in scene.legends)
    return ObserverClass.of(scene, matrices, defaults.weak_labels, defaults.clusters, seed, borders)


def _settings(keys: Mapping[str, Any]) -> MapSettings:
    """Settings of a map whose scene is to be filled in."""
    return load_settings(MapSettings, overrides=["--scene.resolution_m=4", *_words(keys)])


def _words(keys: Mapping[str, Any]) -> list[str]:
    """Values as they would stand on the command line."""

    def word(value: Any) -> str:
        if isinstance(value, (str, Path)):
            return str(value)
        return yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()

    return [f"--{key}={word(value)}" for key, value in keys.items()]
