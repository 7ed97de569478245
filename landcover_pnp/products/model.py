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
        PriorError: As ``load_prior``.
    """
    # They load torch, which catalogues of maps do not need.
    from landcover_pnp.prior.loading import load_prior
    from landcover_pnp.prior.masked_prior import MaskedPrior

    model = load_prior(prior)
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
    classes = described_classes(["no data", *model.legend.names])
    if isinstance(model, MaskedPrior):
        given, put_out, architecture = "label map, 0 where hidden", "classes", "MaskedUNet"
        structure = InputStructure.create(
            [-1, *shape[2:]], ["batch", "height", "width"], DataType.INT64
        )
        shape, classes = [-1, len(classes) - 1, *shape[2:]], classes[1:]
    else:
        given, put_out, architecture = (
            "noisy one-hot label map and noise level t",
            model.prediction,
            "UNet2DModel",
        )
        structure = InputStructure.create(shape, dimensions, DataType.FLOAT32)
    corrupted = ModelInput.create(name=given, bands=[], input=structure)
    predicted = ModelOutput.create(
        name=put_out,
        tasks=[TaskType.GENERATIVE],
        result=ResultStructure.create(shape, dimensions, DataType.FLOAT32),
        classes=classes,
    )
    MLMExtension.ext(item, add_if_missing=True).apply(
        name="landcover-pnp-prior",
        architecture=architecture,
        framework="PyTorch",
        tasks=[TaskType.GENERATIVE],
        input=[corrupted],
        output=[predicted],
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
