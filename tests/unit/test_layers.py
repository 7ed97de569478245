"""Each module imports only from lower floors, and the command line imports nothing heavy."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import landcover_pnp

ROOT = Path(landcover_pnp.__file__).parent

# Modules of one floor stand in the order in which they may import each other.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "failpoints", "legend", "settings", "grid", "boxes"),
    (
        "raster",
        "ground",
        "attributes",
        "space",
        "geotiff",
        "lock_file",
        "runs",
        "hashes",
        "journal",
        "configuration",
    ),
    (
        "sources.scene",
        "sources.vector_files",
        "sources.vectors",
        "sources.image_lists",
        "sources.imagery",
        "sources.image_windows",
        "sources.rasters",
        "sources.preparation",
        "sources.synthetic",
        "sources.enviroatlas",
        "sources.checks",
        "sources.fine_image",
    ),
    ("weak_labels", "tones", "repair", "asphalt", "local_mixture", "clusters"),
    (
        "prior.noise",
        "prior.folder",
        "prior.denoiser",
        "prior.label_maps",
        "prior.crops",
        "prior.datamodule",
        "prior.denoising",
        "prior.sampling",
        "prior.guided_tensors",
        "prior.guided_diffusion",
        "prior.diffusers_folder",
        "prior.importing",
        "prior.landscape",
        "prior.verdict",
        "prior.judging",
        "prior.keeping",
        "prior.training",
    ),
    (
        "inference.relaxation",
        "inference.constraints",
        "inference.canvas",
        "inference.step",
        "inference.algorithm1",
        "inference.guided",
        "inference.evidence",
        "inference.denoise",
        "inference.engine",
        "inference.tiles",
        "inference.processes",
        "inference.crew",
        "inference.farm",
    ),
    (
        "publish.page",
        "publish.styles",
        "mosaic",
        "products",
        "calibration",
        "evaluation",
        "examination",
        "intervals",
        "publish.pictures",
        "overview",
        "publish.finished",
        "publish.qgis",
        "publish.polygons",
        "publish.vectors",
        "publish.stac",
        "publish.model",
        "publish.catalog",
        "publish.report",
        "publish.folder",
        "publish.publishing",
        "publish.zonal",
        "publish.comparison",
    ),
    (
        "interruption",
        "progress",
        "summary",
        "preview",
        "integrity",
        "protocols",
        "planning",
        "image_models",
        "unet",
        "sites",
        "recombination",
        "student",
        "student_tiles",
        "tally",
        "mapping",
        "transfer.cities",
        "transfer.baselines",
        "transfer.methods",
        "transfer.maps",
        "transfer.scores",
        "transfer.pictures",
        "transfer.report",
        "transfer.stage",
        "batch",
        "demo",
        "cli",
    ),
)
ORDER = [name for floor in FLOORS for name in floor]


def modules() -> list[str]:
    paths = (p.relative_to(ROOT).with_suffix("") for p in ROOT.rglob("*.py"))
    return sorted(".".join(p.parts) for p in paths if p.name not in ("__init__", "__main__"))


def rank(module: str) -> int:
    """Position in the house; parts of a subpackage stand where the subpackage stands."""
    while module not in ORDER:
        assert "." in module, f"{module} has no floor: add it to FLOORS"
        module = module.rpartition(".")[0]
    return ORDER.index(module)


def imports(module: str) -> set[str]:
    tree = ast.parse((ROOT / (module.replace(".", "/") + ".py")).read_text())
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("landcover_pnp"):
            inner = (node.module or "").removeprefix("landcover_pnp").lstrip(".")
            for alias in node.names:
                name = f"{inner}.{alias.name}".lstrip(".")
                found.add(name if name in modules() else inner)
    return found - {""}


@pytest.mark.parametrize("module", modules())
def test_imports_only_from_below(module: str) -> None:
    # The command line imports its stages when a command needs them: it stands on top of all.
    above = [name for name in imports(module) if rank(name) > rank(module)]
    assert not above


def test_every_floor_exists() -> None:
    assert {rank(module) for module in modules()} == set(range(len(ORDER)))


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from landcover_pnp.cli import main; code = main(['map', '--help']); "
        "heavy = {'torch', 'rasterio', 'sklearn', 'dask', 'diffusers'} & set(sys.modules); "
        "sys.exit(code or ' '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--inference.engine" in done.stdout
