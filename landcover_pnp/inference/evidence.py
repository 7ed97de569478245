"""The engine without a prior: what image clusters and weak labels say on their own."""

from __future__ import annotations

import numpy as np

from landcover_pnp.boxes import box_sum

_TINY = np.float32(1e-9)


def evidence_map(clusters, weak_labels, valid, settings, trace=None):
    r = clusters * valid
    weak = weak_labels * valid
    block = box_sum(weak, settings.radius_px)
    cluster_block = np.maximum(box_sum(r, settings.radius_px), _TINY)
    p = weak
    for i in range(settings.iterations):
        vote = np.zeros_like(p)
        for r_c, total in zip(r, cluster_block, strict=True):
            vote += box_sum(p * r_c, settings.radius_px) / total * r_c
        p = _normalised(p * vote, valid)
        p = _normalised(p * (block / np.maximum(box_sum(p, settings.radius_px), _TINY)), valid)
        if trace is not None:
            trace(i, p)
    return p


def _normalised(p, valid):
    p = np.maximum(p, _TINY)
    p /= p.sum(axis=0)
    p *= valid
    return p
