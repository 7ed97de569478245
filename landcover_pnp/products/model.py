"""A prior as a STAC item, in terms of the machine learning model extension."""

from __future__ import annotations

from pathlib import Path

from landcover_pnp.prior.folder import WEIGHTS
from landcover_pnp.products.stac import (
    VERSION,
    described_classes,
    described_file,
    extensions,
    relative,
)
from landcover_pnp.storage.records import write_json


def write_prior_item(prior: Path, path: Path) -> Path:
    """Writes the STAC item of a prior.

    Args:
        prior: Folder of the prior.
        path: The item's file.

    Returns:
        The file.

    Raises:
        PriorError: As ``Prior.load``.
    """
    from landcover_pnp.prior.denoiser import Prior  # loads torch; catalogues of maps do not

    model = Prior.load(prior)
    weights = prior / WEIGHTS
    names = ["no data", *model.legend.names]
    shape = {
        "shape": [-1, model.channels, model.crop_px, model.crop_px],
        "dim_order": ["batch", "class", "height", "width"],
    }
    noisy = {
        "name": "noisy one-hot label map and noise level t",
        "bands": [],
        "input": {**shape, "data_type": "float32"},
    }
    noise = {
        "name": model.prediction,
        "tasks": ["generative"],
        "result": {**shape, "data_type": "float32"},
        "classification:classes": described_classes(names),
    }
    item = {
        "type": "Feature",
        "stac_version": VERSION,
        "stac_extensions": extensions("mlm/v1.4.0", "file/v2.1.0", "classification/v2.0.0"),
        "id": f"prior-{model.fingerprint}",
        "geometry": None,
        "properties": {
            "title": "Diffusion prior over land-cover label maps",
            "description": "Trained on label maps alone; it has never seen an image.",
            "datetime": None,
            "start_datetime": "1970-01-01T00:00:00Z",
            "end_datetime": "9999-12-31T23:59:59Z",
            "license": model.licence,
            "mlm:name": "landcover-pnp-prior",
            "mlm:architecture": "UNet2DModel",
            "mlm:framework": "PyTorch",
            "mlm:tasks": ["generative"],
            "mlm:input": [noisy],
            "mlm:output": [noise],
        },
        "links": [],
        "assets": {
            "weights": {
                "href": relative(weights, path.parent),
                "type": "application/octet-stream; application=safetensors",
                "title": "Weights",
                "roles": ["mlm:model"],
                "mlm:artifact_type": "safetensors.torch.save_file",
                **described_file(weights),
            }
        },
    }
    write_json(path, item)
    return path
