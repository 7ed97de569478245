"""Procedural cities: label maps at 1 m, and the image, NLCD, vectors and truth that follow."""

from landcover_pnp.scenes.synthetic.city import SyntheticSummary, write_city
from landcover_pnp.scenes.synthetic.plan import synthetic_label_map

__all__ = ["SyntheticSummary", "synthetic_label_map", "write_city"]
