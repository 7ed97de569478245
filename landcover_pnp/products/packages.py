"""Packages that some products need, and a plain installation does not bring."""

from __future__ import annotations

from importlib.util import find_spec

from landcover_pnp.errors import RequestError


def require_package(name: str, product: str) -> None:
    """Refuses a product whose package is not installed.

    Args:
        name: Name of the package.
        product: What needs it.

    Raises:
        RequestError: Says how to install it.
    """
    if find_spec(name) is None:
        raise RequestError(
            found=f"{product} need the package {name}, which is not installed",
            expected="the extra `web`",
            fix="pip install 'landcover-pnp[web]'",
        )
