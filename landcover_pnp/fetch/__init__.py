"""A place becomes a scene: imagery, coarse map and objects fetched, with where they are from."""
