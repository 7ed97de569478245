"""Synthetic cities in the EnviroAtlas layout."""

from landcover_pnp.sources.synthetic_plan import synthetic_label_map

__all__ = ["synthetic_label_map"]
