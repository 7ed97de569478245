"""Land-cover maps of whole cities with a diffusion model over label maps as prior.

The public names, each imported when it is first used::

    import landcover_pnp as lc

    scene = lc.open_scene("naip.tif", nlcd="nlcd.tif", roads="roads.gpkg")
    result = lc.map_scene(scene)  # or profile="fast", engine="denoise", student="unet", ...
    lc.evaluate(result, "truth.tif").mean_iou
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from landcover_pnp.version import __version__

if TYPE_CHECKING:
    from landcover_pnp import samplers
    from landcover_pnp.errors import strict
    from landcover_pnp.inference.constraints import Constraint
    from landcover_pnp.inference.observations import Observations
    from landcover_pnp.inference.registry import Engine, register_engine
    from landcover_pnp.legend import WORKING
    from landcover_pnp.pipeline.accuracy import assess, doubtful_places, sample
    from landcover_pnp.pipeline.api import (
        evaluate,
        infer,
        map_scene,
        observe,
        publish,
        weak_labels,
    )
    from landcover_pnp.prior.denoiser import Prior
    from landcover_pnp.prior.loading import load_prior
    from landcover_pnp.prior.masked_prior import MaskedPrior
    from landcover_pnp.products.dataset import LandCover, open_run
    from landcover_pnp.scenes.opening import CoarseMap, open_scene, synthetic_scene
    from landcover_pnp.scenes.scene import Scene

_HOME = {
    "Scene": "scenes.scene",
    "CoarseMap": "scenes.opening",
    "open_scene": "scenes.opening",
    "synthetic_scene": "scenes.opening",
    "weak_labels": "pipeline.api",
    "observe": "pipeline.api",
    "Observations": "inference.observations",
    "map_scene": "pipeline.api",
    "infer": "pipeline.api",
    "Engine": "inference.registry",
    "register_engine": "inference.registry",
    "Constraint": "inference.constraints",
    "Prior": "prior.denoiser",
    "MaskedPrior": "prior.masked_prior",
    "load_prior": "prior.loading",
    "evaluate": "pipeline.api",
    "LandCover": "products.dataset",
    "open_run": "products.dataset",
    "publish": "pipeline.api",
    "doubtful_places": "pipeline.accuracy",
    "sample": "pipeline.accuracy",
    "assess": "pipeline.accuracy",
    "strict": "errors",
    "WORKING": "legend",
}

__all__ = [
    "__version__",
    "Scene",
    "CoarseMap",
    "open_scene",
    "synthetic_scene",
    "weak_labels",
    "observe",
    "Observations",
    "map_scene",
    "infer",
    "Engine",
    "register_engine",
    "Constraint",
    "Prior",
    "MaskedPrior",
    "load_prior",
    "samplers",
    "evaluate",
    "LandCover",
    "open_run",
    "publish",
    "doubtful_places",
    "sample",
    "assess",
    "strict",
    "WORKING",
]


def __getattr__(name: str) -> Any:
    if name == "samplers":
        return import_module(f"{__name__}.samplers")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
