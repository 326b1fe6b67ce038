"""The worst configurations through Snakemake itself: one line, no traceback, nothing written."""

from __future__ import annotations

import pytest
import yaml
from tests.helpers.project import CONFIG, Project, new_project

pytestmark = pytest.mark.workflow

TEXTS = {
    "a date": ("seed: 2026-01-01\n", "seed is 2026-01-01, which YAML reads as a date"),
    "a date for a key": ("2026-01-01: 3\n", "YAML reads 2026-01-01 as a date"),
    "a number for a key": ("1: 3\n", "YAML reads 1 as a number"),
    "nothing for a key": ("null: 3\n", "YAML reads nothing as nothing"),
    "binary data": ("partial: false\nextra: !!binary aGk=\n", "extra is"),
    "a list that contains itself": ("extra: &a [*a]\n", "extra contains itself"),
    "a name with a command": ('environments: [{name: "$(touch sprung)", family: lqr}]\n', "becomes a file name"),
    "a trillion samples": ("gradients: {samples: 1e12}\n", "must be at most 100000000"),
    "a key with an escape sequence": ('"\\e[31mseed\\n": 1\n', "is not a key of the configuration"),
    "a tag": ("extra: !!python/object/apply:os.system [touch sprung]\n", "YAML"),
}
OPTIONS = {
    "partial=maybe": "partial must be true or false",
    "partial=[true]": "partial must be true or false",
    "seed=1;rm -rf": 'seed must be a whole number, not a string: "1;rm -rf"',
    "seed=$(touch sprung)": "seed must be a whole number",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The study before anything is computed; no test here computes anything."""
    return new_project(tmp_path_factory.mktemp("front") / "door")


def refused(project: Project, fragment: str, *arguments: str) -> None:
    """Snakemake says one line with these words, and leaves no file of the study."""
    ended = project.snakemake("--dry-run", *arguments)
    lines = [line for line in ended.output.splitlines() if line and not line.startswith("Using workflow specific")]
    assert ended.status != 0
    assert "Traceback" not in ended.output
    assert len(lines) == 1, ended.output
    assert fragment in lines[0]
    assert not any(project.path(name).exists() for name in ("results", "reports", "sprung"))


@pytest.mark.parametrize("text", TEXTS)
def test_a_hostile_file(project: Project, text: str) -> None:
    added, fragment = TEXTS[text]
    kept = {section: value for section, value in CONFIG.items() if not added.startswith(f"{section}:")}
    project.path("hostile.yaml").write_text(yaml.safe_dump(kept) + added, encoding="utf-8")
    refused(project, fragment, "--configfile", "hostile.yaml")


@pytest.mark.parametrize("option", OPTIONS)
def test_a_hostile_option(project: Project, option: str) -> None:
    refused(project, OPTIONS[option], "--config", option)
