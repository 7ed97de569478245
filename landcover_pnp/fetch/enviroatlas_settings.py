"""Settings of fetching the data set of the paper; light, since every command's help reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from landcover_pnp.config import file_or_address, require_positive
from landcover_pnp.config.addresses import as_path
from landcover_pnp.errors import SettingsError

ROOT = "enviroatlas_lotp"
"""Folder of the data set in its archive, and where it is unpacked to."""

ARCHIVE = f"{ROOT}.zip"
RECORD_PAGE = "https://zenodo.org/records/5778193"
"""Where the data set is published: EnviroAtlas land cover, NAIP, NLCD and OpenStreetMap layers."""

MD5 = "bfe601be21c7c001315fc6154be8ef14"
_HEX_DIGITS = (32, 40, 64, 128)  # of the checksums of ``storage.remote.download``


@dataclass(frozen=True)
class EnviroAtlasSettings:
    """The EnviroAtlas data set of the paper (Zenodo record 5778193).

    Attributes:
        out: Folder that gets ``enviroatlas_lotp``, and beside it the archive.
        city: City, such as durham_nc-2012_1m or durham_nc; null unpacks all.
        split: Split of the data set; null unpacks all.
        archive: The archive: its address, or the path of one that was downloaded elsewhere, or of
            the folder that it was unpacked to.
        checksum: Its MD5, SHA-1, SHA-256 or SHA-512, hex digits; null is not checked.
        most_gb: Largest size of what is unpacked, gigabytes.
    """

    out: Path
    city: str | None = None
    split: Literal["train", "val", "val5", "test"] | None = None
    archive: Path = file_or_address(default=as_path(f"{RECORD_PAGE}/files/{ARCHIVE}"))
    checksum: str | None = MD5
    most_gb: float = 100.0

    def __post_init__(self) -> None:
        """Refuses a checksum that is none, and no room."""
        require_positive(self, "most_gb")
        plain = self.checksum
        if plain is not None and not (
            len(plain) in _HEX_DIGITS and re.fullmatch("[0-9a-fA-F]+", plain)
        ):
            raise SettingsError(
                found=f"checksum is {plain}",
                expected="32 (MD5), 40 (SHA-1), 64 (SHA-256) or 128 (SHA-512) hex digits, or null",
                fix="correct it",
            )
