"""What the benchmarks' command lines have in common: the docstring of a script is its help."""

from argparse import ArgumentParser, RawDescriptionHelpFormatter


def parser(docstring: str | None) -> ArgumentParser:
    """A parser whose help is a script's docstring."""
    return ArgumentParser(description=docstring, formatter_class=RawDescriptionHelpFormatter)
