"""The prior: a denoising diffusion model over one-hot label maps."""
