"""The version, in a module of its own so that none needs the package's public names."""

__version__ = "0.2.0"
