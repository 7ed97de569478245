"""The fetch stage: a place in, a scene that ``landcover map`` takes out."""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd

from landcover_pnp.config.addresses import is_address
from landcover_pnp.errors import CoverageWarning
from landcover_pnp.fetch.area import DEGREES
from landcover_pnp.fetch.choice import WHOLE
from landcover_pnp.fetch.coarse import AROUND_M, CoarsePart, around, fetch_coarse
from landcover_pnp.fetch.images import fetch_part
from landcover_pnp.fetch.memory import NAME
from landcover_pnp.fetch.object_sources import EXTRACT, ObjectsPlan
from landcover_pnp.fetch.objects import LAYERS, Objects, read_written, write_layer
from landcover_pnp.fetch.plan import FetchPlan, area_of, legend_of, plan_fetch, require_limit
from landcover_pnp.fetch.preview import write_preview
from landcover_pnp.fetch.scene_file import batch_text, scene_text, zone_name
from landcover_pnp.fetch.settings import FetchSettings
from landcover_pnp.fetch.steps import Steps, plain_names
from landcover_pnp.storage.atomic import completed
from landcover_pnp.storage.disk_space import require_space
from landcover_pnp.storage.files import content_hash
from landcover_pnp.storage.owned_folder import held, require_apart
from landcover_pnp.storage.records import fingerprint, ingredients
from landcover_pnp.storage.remote.download import download
from landcover_pnp.storage.remote.ranges import look_again

KIND = "fetched place"
FORMAT = 1
"""Version of what is made of what is fetched: another one fetches again."""


@dataclass(frozen=True)
class FetchSummary:
    """What was fetched.

    Attributes:
        folder: Folder of the scene.
        configs: Configurations of its maps, one a grid.
        command: The command that maps it.
        previews: Pictures of it, one a grid.
        area_km2: Surface of the area.
        images: Number of images.
        made: Number of files, or groups of them, that were fetched.
        kept: Number of those that were there already.
        notes: What was fetched and what is missing; one sentence each.
        attribution: Makers and licence of each layer.
    """

    folder: Path
    configs: tuple[Path, ...]
    command: str
    previews: tuple[Path, ...]
    area_km2: float
    images: int
    made: int
    kept: int
    notes: tuple[str, ...]
    attribution: tuple[str, ...]


def fetch_place(
    settings: FetchSettings,
    name: str | None = None,
    *,
    yes: bool = False,
    report: Callable[[str], None] = lambda _: None,
) -> FetchSummary:
    """Fetches the layers of a place and writes the configuration of its map.

    What is there already, and would be the same again, stays: after an interruption the same
    call goes on.

    Args:
        settings: Which area, from where, whereto.
        name: Name of the place, instead of a box or a file.
        yes: Whether it may be larger than the limits.
        report: Told what is done, a line each.

    Returns:
        What was fetched.

    Raises:
        RequestError: If the request cannot be carried out; nothing is written then.
        RunError: If a server fails, also when asked again; what is done stays.
        DiskFullError: If there is no room.
    """
    look_again()  # one version of each file in a call, and of the next call its own
    plan = plan_fetch(settings, area_of(settings, name))
    if not yes:
        require_limit(plan, settings)
    files = [source.file for source in settings.coarse_maps]
    inputs = [settings.area, *files, settings.objects.osm]
    require_apart([p for p in inputs if p is not None and not is_address(p)], [settings.out])
    require_space(settings.out, plan.written_bytes)
    with held(settings.out, KIND) as owned:
        owned.kept = True  # what is fetched stays, whatever comes after it
        work = _Work(plan, settings, Steps(owned, report))
        return work.done()


class _Work:
    """The steps of a fetch, in their order."""

    def __init__(self, plan: FetchPlan, settings: FetchSettings, steps: Steps) -> None:
        self.plan, self.settings, self.steps = plan, settings, steps
        self.out, self.area = settings.out, plan.area
        self.notes = list(plan.notes)

    def done(self) -> FetchSummary:
        """Carries them out."""
        images = self._images()
        coarse = self._coarse()
        objects = self._objects()
        if not self.area.box:
            self._area()
        layers: dict[str, Any] = {"coarse": coarse[0]["path"], "legend": coarse[0]["legend"]}
        layers |= {"more_coarse": coarse[1:]} if coarse[1:] else {}
        layers |= {name: {"path": f"{name}.gpkg"} for name in (LAYERS if objects else ())}
        layers |= {} if self.area.box else {"area": "area.gpkg"}
        configs, previews = [], []
        for crs, names in images.items():
            zone = f"-{zone_name(crs)}" if len(images) > 1 else ""
            self.steps.text(f"images{zone}.txt", "".join(f"{name}\n" for name in names))
            config = f"scene{zone}.yaml"
            self.steps.text(config, self._scene({"image": f"images{zone}.txt", **layers}))
            configs.append(self.out / config)
            previews.append(self._preview(crs, names, f"preview{zone}.png", bool(objects)))
        run = str(Path("runs") / self.out.resolve().name)
        words = ["map", str(configs[0]), "--run", run]
        if len(configs) > 1:
            self.steps.text("batch.yaml", batch_text([config.name for config in configs]))
            words = ["batch", str(self.out / "batch.yaml"), "--out", run]
        command = shlex.join(["landcover", *words, "--publish"])
        self.steps.owned.claim(NAME)
        self.steps.used.add(NAME)
        self.plan.memory.save()
        self.steps.remove_others()
        return FetchSummary(
            self.out,
            tuple(configs),
            command,
            tuple(previews),
            self.area.km2,
            sum(map(len, images.values())),
            self.steps.made,
            self.steps.kept,
            tuple(self.notes),
            self.plan.attribution,
        )

    def _images(self) -> dict[str, list[str]]:
        """Fetches the images; returns their files by CRS."""
        every = [image for images in self.plan.images.values() for image in images]
        files: dict[str, list[str]] = {}
        for number, (image, plain) in enumerate(
            zip(every, plain_names(image.name for image in every), strict=True), start=1
        ):
            part, name = image.part, f"images/{plain}"
            made_of = ingredients(
                format=FORMAT,
                image=image.name,
                date=image.date,
                version=self.plan.memory.version(part.path),
                window=part.window,
            )

            def make(part: Any = part, name: str = name) -> Mapping[str, float]:
                return {"valid_share": fetch_part(part, self.steps.path(f"{name}.tif"))}

            self.steps.report(f"image {number} of {len(every)}: {image.name}")
            self.steps.step(name, [f"{name}.tif"], made_of, make)
            files.setdefault(part.crs, []).append(f"{name}.tif")
        return files

    def _coarse(self) -> list[dict[str, str]]:
        """Fetches the coarse maps; returns the file of each, and its legend."""
        found = []
        for number, (part, source) in enumerate(
            zip(self.plan.coarse, self.settings.coarse_maps, strict=True), start=1
        ):
            name = "coarse" if number == 1 else f"coarse-{number}"
            self._coarse_part(part, name)
            found.append({"path": f"{name}.tif", "legend": str(legend_of(source))})
        return found

    def _coarse_part(self, part: CoarsePart, name: str) -> None:
        made_of = ingredients(
            format=FORMAT,
            version=[self.plan.memory.version(path) for path in part.paths],
            transform=part.geobox.transform,
            shape=part.geobox.shape,
            area=self.area.shape.wkt,
        )

        def make() -> Mapping[str, float]:
            return {"share": fetch_coarse(part, self.area, self.steps.path(f"{name}.tif"))}

        self.steps.report("coarse map")
        record = self.steps.step(name, [f"{name}.tif"], made_of, make)
        which = "the coarse map" if name == "coarse" else f"the coarse map {name}.tif"
        self._say_share(record.figures.get("share", 1.0), f"{which} has data on")

    def _objects(self) -> bool:
        """Fetches roads, buildings and water; returns whether there are any layers of them."""
        plan = self.plan.objects
        if plan is None:
            return False
        bounds = around(self.area).bounds
        made_of = ingredients(format=FORMAT, version=plan.version, bounds=bounds)
        names = [f"{layer}.gpkg" for layer in LAYERS]
        extract = self._extract_name(plan)
        self.steps.used |= {extract, f"{extract}.json"} if extract else set()

        def make() -> Mapping[str, float]:
            objects = self._read(plan)
            counts = {
                layer: float(write_layer(self.steps.path(f"{layer}.gpkg"), frame, DEGREES, bounds))
                for layer, frame in objects.layers.items()
            }
            return {**counts, "share": objects.share_of(self.area.shape)}

        self.steps.report(plan.note)
        figures = self.steps.step("objects", names, made_of, make).figures
        counts = ", ".join(f"{figures.get(layer, 0):,.0f} {layer}" for layer in LAYERS)
        self.notes.append(f"{counts} in the area and {AROUND_M:g} m around it")
        self._say_share(figures.get("share", 1.0), "roads, buildings and water reach over", 0.9)
        return True

    def _read(self, plan: ObjectsPlan) -> Objects:
        """The objects; an extract at an address is downloaded first, and kept."""
        if plan.extract is None:
            return plan.read(None)
        address, name = plan.extract, self._extract_name(plan)

        def make() -> Mapping[str, float]:
            download(address, self.steps.path(name))
            return {}

        self.steps.step(name, [name], ingredients(version=plan.version), make)
        return plan.read(self.steps.path(name))

    @staticmethod
    def _extract_name(plan: ObjectsPlan) -> str:
        """Name under which an extract is kept; empty where none is downloaded."""
        if plan.extract is None:
            return ""
        return f"{EXTRACT}-{plain_names([plan.extract.partition('?')[0].rpartition('/')[2]])[0]}"

    def _area(self) -> None:
        made_of = ingredients(format=FORMAT, area=self.area.shape.wkt, name=self.area.name)

        def make() -> Mapping[str, float]:
            frame = gpd.GeoDataFrame(
                {"name": [self.area.name]}, geometry=[self.area.shape], crs=DEGREES
            )
            with completed(self.steps.path("area.gpkg")) as partial:
                frame.to_file(partial, layer="area", driver="GPKG", engine="pyogrio")
            return {}

        self.steps.step("area", ["area.gpkg"], made_of, make)

    def _scene(self, layers: Mapping[str, Any]) -> str:
        settings = self.settings
        return scene_text(
            self.area.name,
            layers,
            self.plan.attribution,
            settings.resolution_m,
            settings.profile,
        )

    def _preview(self, crs: str, names: list[str], name: str, drawn: bool) -> Path:
        files = [*names, *([f"{layer}.gpkg" for layer in LAYERS] if drawn else [])]
        made_of = ingredients(
            format=FORMAT, files=self._known(files), area=fingerprint({"a": self.area.shape.wkt})
        )
        path = self.steps.path(name)

        def make() -> Mapping[str, float]:
            objects = read_written(self.out) if drawn else {}
            images = [self.steps.path(image) for image in names]
            write_preview(path, crs, images, objects, self.area.within(crs))
            return {}

        self.steps.step(name.removesuffix(".png"), [name], made_of, make)
        return path

    def _known(self, files: list[str]) -> dict[str, str]:
        return {file: content_hash(self.steps.path(file)) for file in files}

    def _say_share(self, share: float, what: str, enough: float = WHOLE) -> None:
        if share < enough:
            said = f"{what} {share:.1%} of {self.area.name}: their source may end inside it"
            warnings.warn(said, CoverageWarning, stacklevel=2)
            self.notes.append(said)
