"""Legends of coarse maps and of results, as data."""
