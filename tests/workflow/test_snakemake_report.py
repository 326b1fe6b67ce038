"""`snakemake --report`: the captions that it needs exist, are true to the configuration, and come out."""

from __future__ import annotations

import re
import shutil
import zipfile
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from jinja2 import Environment, StrictUndefined
from tests.helpers.project import ROOT, Project

from scorepath.figures import FIGURES

CAPTIONS = ROOT / "workflow/report"


class Job:
    """What a caption's template sees as `snakemake`."""

    def __init__(self, figure: str, config: dict[str, Any]) -> None:
        self.wildcards = SimpleNamespace(figure=figure)
        self.config = config


def rendered(figure: str, config: dict[str, Any]) -> str:
    template = Environment(undefined=StrictUndefined).from_string((CAPTIONS / "figure.rst").read_text())
    return " ".join(template.render(snakemake=Job(figure, config)).split())


def test_there_is_one_caption_for_each_figure() -> None:
    assert re.findall(r'name == "(\w+)"', (CAPTIONS / "figure.rst").read_text()) == list(FIGURES)


@pytest.mark.parametrize("figure", FIGURES)
def test_a_caption_names_n_and_its_interval(figure: str) -> None:
    """The configuration's numbers, or the schema's defaults where it is silent: they are the same in config.yaml."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    text = rendered(figure, config)
    assert re.search(r"\bn = \d+", text), text
    assert "95 %" in text
    assert rendered(figure, {"gradients": None}) == text
    config["gradients"] |= {"samples": 12321, "batch_size": 111}
    config["training"]["seeds"] = config["costs"]["repeats"] = 12321
    if figure != "one_step":  # drawn of the library's own numbers
        assert "n = 12321" in rendered(figure, config)


@pytest.mark.workflow
def test_the_report_of_snakemake(finished: Project) -> None:
    ended = finished.snakemake("--report", "report.zip")
    assert ended.status == 0, ended.output
    assert "Traceback" not in ended.output
    with zipfile.ZipFile(finished.path("report.zip")) as archive:
        names = archive.namelist()
        page = "".join(archive.read(name).decode() for name in names if name.endswith((".html", ".js")))
        assert archive.testzip() is None
    for figure in FIGURES:
        assert any(name.endswith(f"{figure}.svg") for name in names), names
    assert any(name.endswith("report.html") and "data" in name for name in names), names
    assert "Who wins where." in page
    assert "n = 128 trajectories" in " ".join(page.split())
    assert "When do pathwise gradients beat REINFORCE?" in page
    assert "system-message" not in page, "docutils found fault with a caption"


def with_make(project: Project) -> Project:
    """Let `make` find itself set up: the installation of these tests is the one it would have made."""
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy2(ROOT / name, project.path(name))
    project.path("installed/bin").mkdir(parents=True)
    for stamp in ("bin/python", ".installed"):
        project.path(f"installed/{stamp}").touch()
    return project


@pytest.mark.workflow
def test_make_run_ends_with_provenance_and_make_verify_checks_it(finished: Project) -> None:
    project = with_make(finished)
    zipped = project.path("reports/provenance.zip")
    ended = project.execute("make", "run", "CORES=2", "VENV=installed")
    assert ended.status == 0, ended.output
    with zipfile.ZipFile(zipped) as archive:
        assert any(name.endswith("verdict_map.svg") for name in archive.namelist())
    written = zipped.stat().st_mtime_ns
    assert project.execute("make", "run", "CORES=2", "VENV=installed").status == 0
    assert zipped.stat().st_mtime_ns == written, "the report was not made anew"
    ended = project.execute("make", "provenance", "VENV=installed")
    assert ended.status == 0, ended.output
    assert zipped.stat().st_mtime_ns > written
    ended = project.execute("make", "verify", "CORES=2", "VENV=installed", "ARGS=--seed 7")
    assert ended.status == 0, ended.output
    assert "seed 7, 2 cores" in ended.output
