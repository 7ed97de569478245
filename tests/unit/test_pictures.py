"""Rasters thinned out for pictures."""

from pathlib import Path

import numpy as np
import pytest
from inputs import write_tif

from landcover_pnp.products.pictures import thinned


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (3, 1400), (1400, 1401)])
def test_every_raster_leaves_a_picture(tmp_path: Path, shape: tuple[int, int]) -> None:
    path = write_tif(tmp_path / "map.tif", np.full(shape, 3, np.uint8))
    picture = thinned(path, 1400)[0]
    assert picture.size
    assert (picture == 3).all()
    assert max(picture.shape) == min(max(shape), 1400)
