"""Tiles against one big tile: the map must not show where it was cut."""

from pathlib import Path

import numpy as np
import pytest
from seams import disagreement, halo_px

from landcover_pnp.inference.engines.algorithm1 import Algorithm1Settings
from landcover_pnp.inference.engines.evidence import EvidenceSettings
from landcover_pnp.inference.settings import InferenceSettings


@pytest.mark.parametrize(
    ("inference", "core_px", "limit", "at_seams"),
    [
        # Indices weigh each tile's map before it is blended: twice as many pixels differ there.
        pytest.param(InferenceSettings(engine="evidence"), 128, 0.01, 2.5, id="evidence"),
        pytest.param(
            InferenceSettings(
                engine="evidence",
                options={"evidence": EvidenceSettings(spectral_indices=False)},
            ),
            128,
            0.01,
            1.25,
            id="evidence without indices",
            marks=pytest.mark.laws,
        ),
        pytest.param(
            # a twentieth of the recipe's steps; benchmarks/seams.py runs it whole
            InferenceSettings(
                engine="algorithm1",
                options={"algorithm1": Algorithm1Settings(steps=10, clean_up_t=5)},
            ),
            64,
            0.03,
            1.25,
            id="algorithm1",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_tiles_agree_with_one_big_tile(
    inference: InferenceSettings, core_px: int, limit: float, at_seams: float, tmp_path: Path
) -> None:
    differs, distance = disagreement(inference, core_px, tmp_path)
    assert differs.mean() <= limit
    # Tiles see less context near their edges, but blending leaves no line where they meet.
    on_seam, beside = distance < 4, (distance >= 4) & (distance < halo_px(core_px) / 2)
    noise = 3 * np.sqrt(max(differs[beside].mean(), 1e-4) / on_seam.sum())
    assert differs[on_seam].mean() <= at_seams * differs[beside].mean() + noise
