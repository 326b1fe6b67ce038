"""README's answer: words of a template, and numbers that are read back and compared with finished default studies."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.answer import BEGIN, END, README, Number, disagreements, numbers, parse, render
from tests.helpers.places import ROOT
from tests.helpers.small_tables import write_tables

from scorepath.stages.plan import make_plan
from scorepath.store.paths import PLAN, TABLES
from scorepath.study.cells import Plan
from scorepath.study.yaml import load_yaml


def said() -> dict[str, str]:
    found = parse(README.read_text(encoding="utf-8"))
    assert found is not None
    return found


def test_the_answer_is_read_as_it_is_written() -> None:
    found = {name: Number((text,), "each") for name, text in said().items()}
    assert parse(BEGIN + render(found) + END) == said()
    assert len(found) > 40


@pytest.mark.parametrize("name", ["smooth", "missed", "equal_samples, undecided", "trained_won", "chaos_measured"])
def test_a_number_that_no_study_has_is_named(name: str) -> None:
    readme = README.read_text(encoding="utf-8")
    found = {key: Number((text, text), "each") for key, text in said().items()}
    assert disagreements(readme, found) == []
    found[name] = Number(("7", "7"))
    assert disagreements(readme, found) == [f"{name}: the studies have 7, README.md {said()[name]}"]


def test_other_words_than_the_templates_are_noticed() -> None:
    readme = README.read_text(encoding="utf-8").replace("the score function at σ", "a score function at σ")
    assert "benchmarks/answer.md" in disagreements(readme, {})[0]


@pytest.mark.parametrize(
    ("number", "text", "within", "outside"),
    [
        (Number(("186", "188")), "186 to 188", "180 to 188", "187 to 190"),
        (Number(("two", "two")), "two", "one to two", "three"),
        (Number(("17 of 19", "18 of 20"), "each"), "17 of 19 and 18 of 20", "18 of 20 and 17 of 19", "17 of 19"),
        (Number(("0.69", "0.67"), "least"), "0.67", "0.5", "0.68"),
        (Number(("0.93", "0.91"), "most"), "0.93", "0.95", "0.92"),
    ],
)
def test_several_studies_make_one_number(number: Number, text: str, within: str, outside: str) -> None:
    assert number.text == text
    assert number.lies_within(text)
    assert number.lies_within(within)
    assert not number.lies_within(outside)


@pytest.mark.parametrize(
    ("number", "said", "text"),
    [
        (Number(("190",)), "186 to 188", "186 to 190"),
        (Number(("three",)), "one", "one to three"),
        (Number(("18 of 20",), "each"), "17 of 19 and 19 of 19", "17 of 19 and 19 of 19 and 18 of 20"),
        (Number(("17 of 19",), "each"), "17 of 19 and 19 of 19", "17 of 19 and 19 of 19"),
        (Number(("0.7",), "least"), "0.67", "0.67"),
        (Number(("0.94",), "most"), "0.93", "0.94"),
    ],
)
def test_a_study_is_added_to_what_is_said(number: Number, said: str, text: str) -> None:
    assert number.and_what(said).text == text


def test_another_study_than_the_default_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no finished default study"):
        numbers([write_tables(tmp_path / "other")])


def test_the_finished_default_study_is_covered() -> None:
    """Only where this checkout has one, timings aside; after a change of the study README is written anew."""
    plan = ROOT / PLAN
    if not (plan.is_file() and (ROOT / TABLES / "verdicts_compute.csv").is_file()):
        pytest.skip("no finished study in this checkout")
    if Plan.load(plan).config != make_plan(load_yaml(ROOT / "config.yaml")).config:
        pytest.skip("the study in this checkout is not the default one")
    assert disagreements(README.read_text(encoding="utf-8"), numbers([ROOT / TABLES])) == []
