"""What the table of a transfer run says of its maps."""

from pathlib import Path

import numpy as np
from inputs import write_tif

from landcover_pnp.pipeline.transfer.scores import differing_share


def test_maps_are_compared_where_both_have_data(tmp_path: Path) -> None:
    first = np.array([[1, 2, 3, 0, 0]], np.uint8)
    second = np.array([[1, 2, 4, 5, 0]], np.uint8)
    a, b = (
        {
            "whole": write_tif(tmp_path / f"{name}.tif", np.repeat(row, 8, axis=0)),
            "empty": write_tif(tmp_path / f"{name} empty.tif", np.zeros((8, 5), np.uint8)),
        }
        for name, row in (("a", first), ("b", second))
    )
    assert differing_share(a, b) == differing_share(b, a) == 1 / 3
    assert differing_share(a, a) == 0
    assert differing_share({"empty": a["empty"]}, {"empty": b["empty"]}) == 0
