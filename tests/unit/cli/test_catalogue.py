"""The catalogue page is what the files say."""

from __future__ import annotations

import re

from tests.helpers.places import ROOT

from scorepath import registry
from scorepath.cli.catalogue import lines


def test_the_page_is_what_the_command_prints() -> None:
    page = (ROOT / "docs/catalogue.md").read_text(encoding="utf-8")
    assert page == "\n".join(lines()) + "\n", "run `scorepath catalogue > docs/catalogue.md`"


def test_the_catalogues_are_as_long_as_promised() -> None:
    assert len(registry.names(registry.ESTIMATORS)) >= 25
    assert len(registry.names(registry.ENVIRONMENTS)) >= 18
    counts = re.search(r"all (\d+) estimators and (\d+)\s+environment\s+families", (ROOT / "README.md").read_text())
    assert counts is not None
    found = [len(registry.names(package)) for package in (registry.ESTIMATORS, registry.ENVIRONMENTS)]
    assert [int(count) for count in counts.groups()] == found
