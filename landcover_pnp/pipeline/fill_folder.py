"""Where a filled map is written: the names in its folder, and whose fill already lies there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from landcover_pnp.errors import FillError
from landcover_pnp.pipeline.fill_plan import FillPlan
from landcover_pnp.storage.checked_json import read_checked
from landcover_pnp.storage.files import file_hash
from landcover_pnp.storage.journal import NAME as JOURNAL
from landcover_pnp.storage.records import Record
from landcover_pnp.storage.run_folder import raster_files, sample_paths
from landcover_pnp.storage.sample_files import SampleFiles
from landcover_pnp.storage.sidecars import part_hashes

LAYER = "filled.tif"
"""Name of the layer that says which pixels were filled."""


@dataclass(frozen=True)
class FillFolder:
    """The folder of a filled map.

    Attributes:
        path: The folder; it can be moved as a whole.
        stem: Name of the map that is filled, without its ending.
    """

    path: Path
    stem: str

    @classmethod
    def of(cls, plan: FillPlan) -> FillFolder:
        """The folder that a plan is carried out in; nothing is written yet.

        Raises:
            FillError: If the map has the name of the layer of filled pixels, or the fill of
                another map lies there.
        """
        folder = cls(plan.settings.out or Path("filled") / plan.name, plan.class_map.path.stem)
        folder._require_own_name(plan)
        folder._require_same_map(plan)
        return folder

    @property
    def map(self) -> Path:
        """The filled map."""
        return self.path / f"{self.stem}.tif"

    @property
    def layer(self) -> Path:
        """Which of its pixels were filled."""
        return self.path / LAYER

    @property
    def windows(self) -> Path:
        """Folder of the windows' files."""
        return self.path / "windows"

    @property
    def layer_record(self) -> Path:
        """Record of the layer."""
        return self.path / "windows.json"

    @property
    def record(self) -> Path:
        """Record of the filled map."""
        return self.path / "fill.json"

    @property
    def sampled(self) -> SampleFiles:
        """Files of posterior samples."""
        return SampleFiles(self.path)

    @property
    def book(self) -> Path:
        """Hashes of the inputs."""
        return self.path / "inputs.json"

    def names(self, *, samples: bool) -> list[str]:
        """Names of all files but those of the windows.

        Args:
            samples: Whether posterior samples are drawn.
        """
        rasters = [*raster_files(self.map), *raster_files(self.layer)]
        others = [self.record, self.layer_record, self.book, self.path / JOURNAL]
        others += sample_paths(self.sampled) if samples else []
        return [file.relative_to(self.path).as_posix() for file in [*rasters, *others]]

    def _require_own_name(self, plan: FillPlan) -> None:
        # Some file systems do not tell capitals from small letters.
        if self.map.name.casefold() == LAYER:
            raise FillError(
                found=f"the map {plan.class_map.path}: filled, it would have the name of the layer "
                f"{LAYER}, which says which pixels were filled",
                expected="a map of another name",
                fix="if it is the layer of an earlier fill, name the map beside it; else rename it",
            )

    def _require_same_map(self, plan: FillPlan) -> None:
        before = Record.read(self.layer_record)
        if before is None:
            return
        path, origin = plan.class_map.path.absolute(), plan.origin.absolute()
        known = map(Path, read_checked(self.book) or {})
        if any(k == path or (k.name == path.name and origin in k.parents) for k in known):
            return
        if part_hashes(plan.class_map.path, file_hash)[""] != before.ingredients.get("map"):
            raise FillError(
                found=f"{self.path} holds another map filled, not {plan.class_map.path}",
                expected="a folder for each map: the fill of one would replace that of another",
                fix="choose another folder: --out FOLDER; or remove that one",
            )
