"""The command line: one command a stage; nothing heavy is imported before it is needed."""

from landcover_pnp.cli.main import main

__all__ = ["main"]
