"""Label maps the prior learns from, and the one-hot crops of them."""

from __future__ import annotations


