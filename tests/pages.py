"""Pages read back: what a viewer is given, and the pixels of its pictures."""

import base64
import io
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from landcover_pnp.products.tile_pyramid import TILE_PX


def viewer(page: str) -> Any:
    """The data of a page's first viewer."""
    return json.loads(page.split('<script type="application/json">')[1].split("</script>")[0])


def opened(address: str) -> NDArray[np.uint8]:
    """The pixels of an address, (y, x, 4); those of an empty tile where there is none."""
    if not address:
        return np.zeros((TILE_PX, TILE_PX, 4), np.uint8)
    kind, _, text = address.partition(",")
    assert kind == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGBA"))


def together(level: list[list[str]]) -> NDArray[np.uint8]:
    """The pixels of all tiles of a level."""
    return np.concatenate([np.concatenate([opened(t) for t in row], 1) for row in level])
