"""Whole runs: plan, tiles, mosaic, map, batch, demo, transfer."""
