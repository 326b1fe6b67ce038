"""README's counts of verdicts: one table that is read back, and compared with a finished default study."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.answer import BEGIN, END, README, counts, outside, parse, render
from tests.helpers.places import ROOT
from tests.helpers.small_tables import write_tables

from scorepath.stages.plan import make_plan
from scorepath.store.paths import PLAN, TABLES
from scorepath.study.cells import Plan
from scorepath.study.yaml import load_yaml


def test_the_table_is_read_as_it_is_written() -> None:
    text = README.read_text(encoding="utf-8")
    assert render(parse(text)) == text[text.index(BEGIN) + len(BEGIN) : text.index(END)]


def test_ranges_are_those_of_the_studies(tmp_path: Path) -> None:
    one, two = (write_tables(tmp_path / name, losers=losers) for name, losers in (("one", ["edge"]), ("two", [])))
    found = counts([one, two])
    assert found["equal samples"]["pathwise better"] == (4, 8)
    assert found["training"]["undecided"] == (2, 2)
    assert parse(BEGIN + render(found) + END) == found
    assert outside(found, counts([one])) == []
    assert "equal samples, pathwise better: counted 8 to 8, README says 4 to 4" in outside(counts([one]), counts([two]))
    assert outside({}, found)  # a criterion that README does not have


def test_the_finished_default_study_is_covered() -> None:
    """Only where this checkout has one; after a change of the study README's table is made anew."""
    plan = ROOT / PLAN
    if not (plan.is_file() and (ROOT / TABLES / "verdicts_compute.csv").is_file()):
        pytest.skip("no finished study in this checkout")
    if Plan.load(plan).config != make_plan(load_yaml(ROOT / "config.yaml")).config:
        pytest.skip("the study in this checkout is not the default one")
    assert outside(parse(README.read_text(encoding="utf-8")), counts([ROOT / TABLES])) == []
