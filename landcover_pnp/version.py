"""The version, in a module of its own so that none needs the package's public names."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("landcover-pnp")  # as it was installed: from the tags of git
except PackageNotFoundError:  # read from a folder that was never installed
    __version__ = "0.2.0"
