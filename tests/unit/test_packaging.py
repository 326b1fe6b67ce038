"""The files that repeat each other agree: pyproject.toml, requirements.lock, the conda file, versions."""

from __future__ import annotations

import re
import tomllib

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.helpers.installation import OF_MAKE_RUN, requirements
from tests.helpers.places import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def lock_lines() -> list[str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return [line for line in lines if not line.startswith("#")]


def test_the_lock_holds_exact_public_versions_only() -> None:
    for line in lock_lines():
        assert re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9a-z.]*", line), line
    names = [canonicalize_name(line.partition("==")[0]) for line in lock_lines()]
    assert len(names) == len(set(names))


def test_every_dependency_is_locked_at_a_version_it_accepts() -> None:
    lock = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lock_lines())}
    extras = PROJECT["optional-dependencies"].values()
    for text in [*PROJECT["dependencies"], *(line for extra in extras for line in extra)]:
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        assert name in lock, f"{name} is in pyproject.toml, but not in requirements.lock: run `make lock`"
        assert requirement.specifier.contains(lock[name]), f"{text} does not accept the locked {lock[name]}"


def test_the_lock_is_complete() -> None:
    """Whatever the dependencies need in turn is locked too."""
    lock = {canonicalize_name(line.partition("==")[0]) for line in lock_lines()}
    needed = requirements(*PROJECT["optional-dependencies"]) - {"scorepath"}
    assert len(needed) > 50
    assert sorted(needed - lock - {"pip", "setuptools"}) == [], "run `make lock`"


def test_every_dependency_says_why_it_is_there() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    for line in re.findall(r'^    "[A-Za-z].*$', text[: text.index("[project.scripts]")], flags=re.MULTILINE):
        assert re.search(r",\s+# \w", line), line


def test_the_conda_file_mirrors_the_lock() -> None:
    (file,) = (ROOT / "workflow/envs").glob("*.yaml")
    environment = yaml.safe_load(file.read_text())
    *conda, pip = environment["dependencies"]
    assert conda == ["python=3.11", "pip"]
    assert pip["pip"] == lock_lines(), "run `make lock`"


def test_one_version_everywhere() -> None:
    version = PROJECT["version"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
    newest = re.search(r"^## (\d\S+)", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert newest is not None
    assert newest[1] == version


def test_make_and_ci_are_runnable() -> None:
    script = ROOT / ".ci/run"
    assert script.stat().st_mode & 0o111
    assert script.read_text().startswith("#!/usr/bin/env bash\n")
    makefile = (ROOT / "Makefile").read_text()
    for command in ("ruff check", "ruff format --check", "snakefmt --check", "snakemake --lint", "mypy", "pytest"):
        assert command in makefile
    assert f"--editable '.[{','.join(OF_MAKE_RUN)}]'" in makefile
