"""QGIS' XML: whatever the names are, they and the colours come back out of it."""

import io
import zipfile
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.crs import CRS

from landcover_pnp.legend import WORKING, LandClass, Legend
from landcover_pnp.products.qgis import (
    Group,
    Layer,
    Project,
    layer_definition,
    project_file,
    zipped,
)
from landcover_pnp.products.qgis_layout import BASE_MAP, MAP, fitted, print_layout
from landcover_pnp.products.styles import (
    ClassStyle,
    ImageStyle,
    OutlineStyle,
    PolygonStyle,
    RampStyle,
    Style,
    qml,
)
from landcover_pnp.storage.class_attributes import class_attributes

NAME = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), min_size=1, max_size=20)
COLOUR = st.tuples(*[st.integers(0, 255)] * 3)
LEGEND = st.lists(st.tuples(NAME, COLOUR), min_size=1, max_size=6).map(
    lambda entries: Legend(
        "any", tuple(LandClass(i, n, c) for i, (n, c) in enumerate(entries, start=1))
    )
)
STYLES: tuple[Style, ...] = (
    ClassStyle(WORKING),
    RampStyle(((0, (0, 0, 0)), (100, (255, 255, 255)))),
    ImageStyle(255),
    PolygonStyle(WORKING),
    OutlineStyle((255, 0, 0), hatched=True),
)


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314


@given(LEGEND)
def test_class_names_and_colours_survive(legend: Legend) -> None:
    entries = parsed(qml(ClassStyle(legend))).iter("paletteEntry")
    read = [
        LandClass(
            int(e.attrib["value"]),
            e.attrib["label"],
            tuple(bytes.fromhex(e.attrib["color"][1:])),  # type: ignore[arg-type]
        )
        for e in entries
    ]
    assert tuple(read) == legend.classes
    polygons = parsed(qml(PolygonStyle(legend)))
    assert [c.attrib["label"] for c in polygons.iter("category")] == list(legend.names)
    attributes = parsed(class_attributes(legend, {1: 3}, 16.0))
    assert [c.text for c in attributes.iter("Category")] == ["no data", *legend.names]


def a_project(name: str) -> Project:
    layers = tuple(Layer(f"{name} {i}", f"./{i}.tif", s) for i, s in enumerate(STYLES))
    groups = (Group(name, layers[:2]), Group("rest", layers[2:]))
    return Project(name, CRS("EPSG:26917"), (0.0, 1.0, 2.0, 3.0), groups, {name: (0, 0, 1, 1)})


@given(NAME)
def test_every_layer_of_the_tree_is_a_layer_of_the_project(name: str) -> None:
    project = a_project(name)
    for text in (project_file(project), layer_definition(project)):
        root = parsed(text)
        tree = {e.attrib["id"]: e.attrib["name"] for e in root.iter("layer-tree-layer")}
        layers = {e.findtext("id"): e.findtext("layername") for e in root.iter("maplayer")}
        # The base map alone lies elsewhere, and is no layer of the definition.
        base = {e for e in root.iter("maplayer") if e.findtext("layername") == BASE_MAP}
        assert len(base) == (root.tag == "qgis")
        own = {layer.id: layer.name for layer in project.layers}
        assert tree == layers == own | {e.findtext("id"): BASE_MAP for e in base}
        for layer in set(root.iter("maplayer")) - base:
            assert layer.findtext("srs/spatialrefsys/authid") == "EPSG:26917"
            assert (layer.findtext("datasource") or "").startswith("./")
    assert [b.attrib["name"] for b in parsed(project_file(project)).iter("Bookmark")] == [name]


@pytest.mark.parametrize("style", STYLES)
def test_a_style_stands_alone_as_in_a_project(style: Style) -> None:
    tag = "rasterrenderer" if style.kind == "raster" else "renderer-v2"
    alone = parsed(qml(style)).find(f".//{tag}")
    inside = parsed(project_file(a_project("x"))).findall(f".//{tag}")
    assert alone is not None

    def plain(element: ET.Element) -> list[tuple[str, dict[str, str]]]:
        return [(e.tag, e.attrib) for e in element.iter()]

    assert plain(alone) in [plain(e) for e in inside]


def test_a_zipped_project_depends_on_its_text_alone() -> None:
    archive = zipped("a.qgs", "Gewässer")
    assert archive == zipped("a.qgs", "Gewässer")
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.namelist() == ["a.qgs"]
        assert opened.read("a.qgs").decode() == "Gewässer"


@given(
    left=st.floats(-1e6, 1e6),
    bottom=st.floats(-1e6, 1e6),
    width=st.floats(1, 1e5),
    height=st.floats(1, 1e5),
)
def test_the_page_shows_all_of_the_ground(
    left: float, bottom: float, width: float, height: float
) -> None:
    bounds = (left, bottom, left + width, bottom + height)
    ground = fitted(bounds, MAP)
    grown = ground[2] - ground[0], ground[3] - ground[1]
    assert grown[0] / grown[1] == pytest.approx(MAP[2] / MAP[3])
    assert grown[0] >= 0.999 * width
    assert grown[1] >= 0.999 * height
    assert grown[0] == pytest.approx(width, rel=1e-6) or grown[1] == pytest.approx(height, rel=1e-6)
    centre = (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2
    assert ((ground[0] + ground[2]) / 2, (ground[1] + ground[3]) / 2) == pytest.approx(centre)


def test_the_same_page_has_the_same_bytes() -> None:
    pages = [
        ET.tostring(print_layout("a", "b", (0, 0, 10, 10), ET.Element("layer-tree-group")))
        for _ in range(2)
    ]
    assert pages[0] == pages[1]
