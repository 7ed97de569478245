"""Samplers and restorers of any diffusion model, and what goes with them: ``lc.samplers``.

One signature, ``sampler(model, x, levels, noise, ...)``; the table of docs/engines.md tells what
each observes and how exact it is.
"""

from landcover_pnp.inference.samplers.algorithm1 import Descent, Found, algorithm1
from landcover_pnp.inference.samplers.cascade import cascade, super_resolve
from landcover_pnp.inference.samplers.cold import block_averaging, cold_diffusion
from landcover_pnp.inference.samplers.correction import Corrected, dynamic_threshold, simplex
from landcover_pnp.inference.samplers.ddim import ddim
from landcover_pnp.inference.samplers.ddpm import ddpm
from landcover_pnp.inference.samplers.ddrm import ddrm
from landcover_pnp.inference.samplers.diffusers_model import DiffusersModel
from landcover_pnp.inference.samplers.dps import dps
from landcover_pnp.inference.samplers.guidance import ClassifierFree, ClassifierGuided
from landcover_pnp.inference.samplers.levels import annealed, levels
from landcover_pnp.inference.samplers.linear import block_means, visible
from landcover_pnp.inference.samplers.model import NoisePredictor, predict_clean, seeded
from landcover_pnp.inference.samplers.parametrisation import Parametrisation, one_hot_relaxation
from landcover_pnp.inference.samplers.red_diff import red_diff
from landcover_pnp.inference.samplers.repaint import repaint, replacement
from landcover_pnp.inference.samplers.score_sde import predictor_corrector
from landcover_pnp.inference.samplers.sgld import sgld
from landcover_pnp.inference.samplers.smc_diff import smc_diff
from landcover_pnp.inference.samplers.split_gibbs import split_gibbs
from landcover_pnp.inference.samplers.universal import Universal, universal_guidance
from landcover_pnp.prior.condition import CoarseMap
from landcover_pnp.prior.noise import NoiseSchedule

__all__ = [
    "ClassifierFree",
    "ClassifierGuided",
    "CoarseMap",
    "Corrected",
    "Descent",
    "DiffusersModel",
    "Found",
    "NoisePredictor",
    "NoiseSchedule",
    "Parametrisation",
    "Universal",
    "algorithm1",
    "annealed",
    "block_averaging",
    "block_means",
    "cascade",
    "cold_diffusion",
    "ddim",
    "ddpm",
    "ddrm",
    "dps",
    "dynamic_threshold",
    "levels",
    "one_hot_relaxation",
    "predict_clean",
    "predictor_corrector",
    "red_diff",
    "repaint",
    "replacement",
    "seeded",
    "sgld",
    "simplex",
    "smc_diff",
    "split_gibbs",
    "super_resolve",
    "universal_guidance",
    "visible",
]
