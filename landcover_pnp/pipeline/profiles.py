"""The profiles of a map: what each sets where the user says nothing.

This is the one place that says what a profile is. ``balanced`` has the defaults of the settings
classes; what those hold, and what the others change, was chosen by ``benchmarks/choose.py``.
"""

from typing import Final

from landcover_pnp.config import Profile

DEFAULT_PROFILE: Final = "balanced"
"""The profile where none is named."""

PROFILES = {
    "paper": Profile(
        "Algorithm 1 as published (Graikos et al. 2022), a map of the working grid",
        {
            # The data-set recipe, whose values are the engine's defaults: a recipe by name would
            # win over single settings of the engine.
            "inference.engine": "algorithm1",
            "inference.constraints.weights": "{mutual_information: 1.0, weak_label_kl: 1.0}",
            "clusters.contrasts": "false",
            "clusters.iterations": "30",
            "weak_labels.refinement": "null",
            "student": "null",
        },
    ),
    "balanced": Profile("evidence, and a student that draws the map at the image's resolution"),
    "fast": Profile("evidence alone, a map of the working grid", {"student": "null"}),
}
"""The profiles by their words."""
