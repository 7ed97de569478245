"""The documentation site: built strictly, every page in its contents, nothing from elsewhere."""

import re
from pathlib import Path

import pytest
import yaml
from mkdocs.commands.build import build
from mkdocs.config import load_config

import landcover_pnp as lc

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site; a broken link, a page in no menu or a name that is not there would end it."""
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_MKDOCS_2_WARNING", "1")
        build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder)))
    return folder


def test_all_pages_are_built(site: Path) -> None:
    for page in (ROOT / "docs").glob("*.md"):
        built = site if page.stem == "index" else site / page.stem
        assert (built / "index.html").is_file()


def test_the_public_names_are_all_described(site: Path) -> None:
    page = (site / "python" / "index.html").read_text(encoding="utf-8")
    told = set(re.findall(r'id="landcover_pnp\.(?:\w+\.)*(\w+)"', page))
    assert {*lc.__all__} - {"__version__", "WORKING"} <= told


def test_nothing_is_fetched_from_other_servers(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r'<(?:link|script|img)[^>]+(?:href|src)="https?://', text), page


def test_a_broken_link_is_noticed() -> None:
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert config["strict"]
    assert set(config["validation"].values()) == {"warn"}, "strict ends at warnings"
