"""Metrics, calibration, cell scores and bootstrap intervals."""
