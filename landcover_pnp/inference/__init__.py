"""Inference: constraints, engines and their work tile by tile."""
