"""Land-cover maps of whole cities with a diffusion model over label maps as prior."""

__version__ = "0.1.0"
