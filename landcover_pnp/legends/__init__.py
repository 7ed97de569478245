"""Legends of coarse maps, as data."""
