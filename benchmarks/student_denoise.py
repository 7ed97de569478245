"""Whether the prior still helps after a student: its map cleaned by `denoise`, at 4 m.

Usage: python benchmarks/student_denoise.py RUN ...

Takes finished runs of `landcover map` with a student and a scene that has truth. Prints accuracy
and mean IoU of evidence, of the student, and of the student's map after `denoise` at several noise
levels t with two shares of the student in the result.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from words import parser

from landcover_pnp.evaluation.scores import score
from landcover_pnp.inference.canvas import Canvas
from landcover_pnp.inference.engines.denoise import DenoiseSettings, denoise
from landcover_pnp.legend import CLASS_COUNT
from landcover_pnp.pipeline.mapped_scenes import open_mapped_scene
from landcover_pnp.prior.denoiser import Prior
from landcover_pnp.storage.raster import open_raster, read
from landcover_pnp.student.mapped_scene import MappedScene

VIEW_PX = 256


def student_probabilities(mapped_scene: MappedScene) -> NDArray[np.float32]:
    """The student's probabilities (class, y, x) float32 on the working grid, 0 without data."""
    path = mapped_scene.run / "probabilities" / "student.tif"
    overlay, extent = mapped_scene.fine.overlay, mapped_scene.scene.extent
    with open_raster(path, "student") as source:
        p = overlay.mean(read(source, source.indexes, overlay.box(extent)), extent)
    return np.asarray(p / np.maximum(p.sum(axis=0), 1), np.float32)


def main(runs: list[Path]) -> None:
    """Prints a table a run."""
    torch.set_num_threads(1)
    prior = Prior.load()
    for run in runs:
        mapped_scene = open_mapped_scene(run)
        extent = mapped_scene.scene.extent
        truth, p = mapped_scene.scene.truth(extent), student_probabilities(mapped_scene)
        valid = p.any(axis=0)

        def show(name: str, q: NDArray[np.float32]) -> None:
            labels = np.where(valid, q.argmax(axis=0) + 1, 0)  # noqa: B023
            s = score(labels, truth, "five_classes")  # noqa: B023
            print(f"| {name} | {s.accuracy:.3f} / {s.mean_iou:.3f} |", flush=True)

        print(f"\n| {run} | accuracy / mean IoU |\n|---|---:|")
        show("evidence", mapped_scene.probabilities("evidence", extent))
        show("student", p)
        start = np.where(valid, p, 1 / CLASS_COUNT).astype(np.float32)
        canvas = Canvas((0, 0), valid.shape, 0, VIEW_PX)
        for t in (100, 150, 200, 300):
            for share in (0.0, 0.5):
                settings = DenoiseSettings(t=t, start_share=share)
                padded = torch.from_numpy(np.pad(start, ((1, 0), (0, 0), (0, 0))))
                q = denoise(padded, prior, canvas, settings)[1:].numpy() * valid
                show(f"t = {t}, share of the student {share}", q)


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("run", type=Path, nargs="+")
    main(options.parse_args().run)
