"""The documentation site builds without a warning, has every public name, and asks nothing of the network."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest

import scorepath
from scorepath import registry

ROOT = Path(__file__).parents[2]
PUBLIC = [name for name in dir(scorepath) if not name.startswith("_")]


class Page(HTMLParser):
    """The anchors of a page, and what a browser fetches for it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors.add(given.get("id") or "")
        self.fetched += [given.get("src") or "", (given.get("href") or "") if tag == "link" else ""]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "WARNING" not in ended.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    return {path.relative_to(site).as_posix(): Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}


def documented_as(name: str) -> Iterator[str]:
    """The anchors that a public name has: its own, or those of all classes of a package."""
    found = getattr(scorepath, name)
    if isinstance(found, ModuleType):
        for stem in registry.names(found.__name__):
            yield f"{found.__name__}.{stem}.{registry.load(found.__name__, stem).__name__}"
    else:
        yield f"{found.__module__}.{found.__qualname__}"


def test_every_public_name_is_documented(pages: dict[str, Page]) -> None:
    anchors = {anchor for page in pages.values() for anchor in page.anchors}
    wanted = {anchor for name in PUBLIC for anchor in documented_as(name)}
    assert len(wanted) > 50
    assert sorted(wanted - anchors) == [], "give it a docstring, and a place in docs/reference"


def test_the_page_of_public_names_lists_them_all() -> None:
    rows = re.findall(r"^\| \[?`(\w+)`", (ROOT / "docs/reference/index.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted([*PUBLIC, "__version__"])


def test_every_module_of_references_is_documented() -> None:
    page = (ROOT / "docs/reference/references.md").read_text(encoding="utf-8")
    there = {path.stem for path in (ROOT / "src/scorepath/references").glob("*.py") if path.stem != "__init__"}
    assert set(re.findall(r"^::: scorepath\.references\.(\w+)$", page, re.MULTILINE)) == there


def test_nothing_is_fetched_from_elsewhere(site: Path, pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        assert [address for address in page.fetched if re.match(r"(\w+:)?//", address)] == [], name
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)[\"']?(\w+:)?//", sheet.read_text(encoding="utf-8")), sheet


def test_the_tree_of_the_architecture_is_the_source_tree() -> None:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    tree = page[page.index("src/scorepath/\n") : page.index("## Import order")]
    rows = re.findall(r"^ {6}(\S+(?:, \S+)*) {2,}", tree, re.MULTILINE)
    listed = {name.strip(",/") for row in rows for name in row.split()}
    there = {path.name for path in (ROOT / "src/scorepath").iterdir()}
    assert listed == there - {"__pycache__", "py.typed"}


def test_the_import_order_of_the_architecture_is_the_contract() -> None:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    order = page[page.index("## Import order") : page.index("## What the library may not do")]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (each for each in project["tool"]["importlinter"]["contracts"] if each["id"] == "layers")
    assert re.findall(r"^ {4}(\S.*)", order, re.MULTILINE) == contract["layers"]


def test_the_rules_of_the_architecture_are_the_pipelines() -> None:
    from scorepath.study.jobs import RULES

    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    table = page[page.index("| rule | reads | writes |") :].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == list(RULES)
