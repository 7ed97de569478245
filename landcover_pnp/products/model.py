"""A prior as a STAC item, in terms of the machine learning model extension."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pystac import Asset, Item
from pystac.extensions.classification import ClassificationExtension
from pystac.extensions.mlm import (
    AssetGeneralMLMExtension,
    InputStructure,
    MLMExtension,
    ModelInput,
    ModelOutput,
    ResultStructure,
    TaskType,
)
from pystac.extensions.raster import DataType

from landcover_pnp.prior.folder import WEIGHTS
from landcover_pnp.products.stac import add_file, described_classes, relative, write_stac


def write_prior_item(prior: Path, path: Path) -> Path:
    """Writes the STAC item of a prior.

    Extensions: classification, file, mlm.

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
    item = Item(
        id=f"prior-{model.fingerprint}",
        geometry=None,
        bbox=None,
        datetime=None,
        start_datetime=datetime(1970, 1, 1, tzinfo=UTC),
        end_datetime=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
        properties={
            "title": "Diffusion prior over land-cover label maps",
            "description": "Trained on label maps alone; it has never seen an image.",
            "license": model.licence,
        },
    )
    shape = [-1, model.channels, model.crop_px, model.crop_px]
    dimensions = ["batch", "class", "height", "width"]
    noisy = ModelInput.create(
        name="noisy one-hot label map and noise level t",
        bands=[],
        input=InputStructure.create(shape, dimensions, DataType.FLOAT32),
    )
    noise = ModelOutput.create(
        name=model.prediction,
        tasks=[TaskType.GENERATIVE],
        result=ResultStructure.create(shape, dimensions, DataType.FLOAT32),
        classes=described_classes(["no data", *model.legend.names]),
    )
    MLMExtension.ext(item, add_if_missing=True).apply(
        name="landcover-pnp-prior",
        architecture="UNet2DModel",
        framework="PyTorch",
        tasks=[TaskType.GENERATIVE],
        input=[noisy],
        output=[noise],
    )
    ClassificationExtension.add_to(item)  # of the output's classes
    weights = add_file(
        item,
        "weights",
        prior / WEIGHTS,
        Asset(
            relative(prior / WEIGHTS, path.parent),
            title="Weights",
            media_type="application/octet-stream; application=safetensors",
            roles=["mlm:model"],
        ),
    )
    AssetGeneralMLMExtension.ext(weights).apply(artifact_type="safetensors.torch.save_file")
    return write_stac(item, path)
