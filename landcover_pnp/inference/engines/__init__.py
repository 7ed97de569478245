"""The engines of this package, a file each: every module here is found and registered by itself."""
