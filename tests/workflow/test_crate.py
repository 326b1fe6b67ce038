"""`reports/crate.zip`: valid by its profile's validator, true to the study, and free of names and places."""

from __future__ import annotations

import csv
import getpass
import hashlib
import io
import json
import platform
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import requests
import rocrate
import yaml
from rocrate_validator import services
from rocrate_validator.utils.http import HttpRequester
from tests.helpers.project import ROOT, Project

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
CONTEXT = "https://w3id.org/ro/crate/1.1/context"
LEFT_OUT = {
    "process-run-crate-0.5_3.2": "libraries and the workflow have no address of their own here",
    "process-run-crate-0.5_5.1": "the validator's message names a class; package URLs are absolute",
    "process-run-crate-0.5_8.6": "who ran it is not told",
    "ro-crate-1.1_22.3": "it is not published yet",
    "ro-crate-1.1_31.2": "the authors have no page",
}
"""Recommendations that are not followed, and why."""


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one document that the validator asks for: the library's terms of RO-Crate 1.3, with the addresses of 1.1."""
    text = (Path(rocrate.__file__).parent / "data/ro-crate.jsonld").read_text(encoding="utf-8")
    for term in ("input", "output"):
        text = text.replace(
            f"https://bioschemas.org/terms/{term}", f"https://bioschemas.org/ComputationalWorkflow#{term}"
        )
    text = text.replace("https://bioschemas.org/terms/", "https://bioschemas.org/")

    def get(requester: HttpRequester, url: str, **options: Any) -> requests.Response:
        assert url == CONTEXT
        response = requests.Response()
        response.status_code, response.url, response._content = 200, url, text.encode()
        response.headers["Content-Type"] = "application/ld+json"
        return response

    monkeypatch.setattr(HttpRequester, "get", get, raising=False)
    monkeypatch.setattr(HttpRequester, "head", get, raising=False)


def described(archive: zipfile.ZipFile) -> dict[str, dict[str, Any]]:
    """The crate's entities by their identifier."""
    return {entity["@id"]: entity for entity in json.loads(archive.read("ro-crate-metadata.json"))["@graph"]}


def identifiers(value: Any) -> list[str]:
    return [item["@id"] for item in (value if isinstance(value, list) else [value])]


@pytest.mark.usefixtures("offline")
def test_the_validator_accepts_it(finished: Project, tmp_path: Path) -> None:
    shutil.copy2(ROOT / "README.md", finished.path("README.md"))
    assert finished.execute("scorepath", "crate").status == 0
    crate = finished.path("reports/crate.zip")

    def issues(path: Path) -> dict[str, str]:
        result = services.validate(
            {
                "rocrate_uri": str(path), "profile_identifier": "workflow-run-crate-0.5", "offline": True,
                "requirement_severity": "RECOMMENDED", "cache_path": str(tmp_path / "cache"),
            }
        )  # fmt: skip
        return {issue.check.identifier: issue.severity.name for issue in result.get_issues()}

    found = issues(crate)
    assert "REQUIRED" not in found.values(), found
    assert found.keys() <= LEFT_OUT.keys(), found
    # and it would have said so: a crate whose workflow states no language
    broken = tmp_path / "broken"
    with zipfile.ZipFile(crate) as archive:
        archive.extractall(broken)
    metadata = broken / "ro-crate-metadata.json"
    metadata.write_text(metadata.read_text().replace('"programmingLanguage"', '"forgotten"'))
    assert "REQUIRED" in issues(broken).values()


def test_it_is_true_to_the_study(finished: Project) -> None:
    with zipfile.ZipFile(finished.path("reports/crate.zip")) as archive:
        entities = described(archive)
        assert archive.read("config.yaml") == finished.path("config.yaml").read_bytes()
        for name in (
            "results/plan.json",
            "reports/report.html",
            "Snakefile",
            "workflow/rules/common.smk",
            "src/scorepath/cli/main.py",
        ):
            assert archive.read(name) == finished.path(name).read_bytes()
        checked = {name: entity["sha256"] for name, entity in entities.items() if "sha256" in entity}
        assert len([name for name in checked if name.startswith("results/tables/")]) == 24
        assert {"config.yaml", "jobs.csv", "reports/report.html", "results/plan.json", "Snakefile"} <= checked.keys()
        for name, value in checked.items():
            assert hashlib.sha256(archive.read(name)).hexdigest() == value, name
        jobs = list(csv.DictReader(io.StringIO(archive.read("jobs.csv").decode())))
    assert entities["#seed"]["value"] == 1
    run = entities["#run"]
    assert {"#seed", "config.yaml"} == set(identifiers(run["object"]))
    assert {"reports/report.html", "jobs.csv", "results/tables/verdicts.csv"} <= set(identifiers(run["result"]))
    assert run["startTime"] == min(job["started"] for job in jobs)
    assert run["endTime"] == max(job["ended"] for job in jobs)
    for job in jobs:
        assert hashlib.sha256(finished.path(job["file"]).read_bytes()).hexdigest() == job["sha256"], job["file"]
    commands = {job["file"]: job["command"] for job in jobs}
    assert commands["results/training/lqr/pathwise/sigma=0.5.csv"] == "scorepath train lqr pathwise 0.5"
    figures = len(list(finished.path("results/figures").glob("*")))
    assert len(commands) == 1 + 3 + 6 + 3 + 15 + 2 + 3 + 3 + 3 + 3 + 24 + 1 + figures + 1
    software = {entity["name"] for entity in entities.values() if entity["@type"] == "SoftwareApplication"}
    assert {"python", "torch", "numpy", "snakemake", "scorepath"} <= software
    assert "commit: " in entities["Snakefile"]["version"]
    totals = {entity["name"]: entity["value"] for entity in entities.values() if "unitText" in entity}
    assert totals["gradients: processor time of 15 jobs"] > 0
    assert totals["gradients: peak memory of a job"] > 1 << 20


def test_it_names_authors_and_licence_as_the_citation_does(finished: Project) -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    with zipfile.ZipFile(finished.path("reports/crate.zip")) as archive:
        entities = described(archive)
    (author,) = citation["authors"]
    assert [entities[name]["name"] for name in identifiers(entities["./"]["author"])] == [author["name"]]
    assert [entities[name]["name"] for name in identifiers(entities["./"]["license"])] == [citation["license"]]


def test_it_names_no_person_machine_or_place(finished: Project, tmp_path: Path) -> None:
    """Even where the configuration lies elsewhere and was given by its whole path."""
    mine = tmp_path / "elsewhere" / "mine.yaml"
    mine.parent.mkdir()
    mine.write_bytes(finished.path("config.yaml").read_bytes())
    ended = finished.run("--configfile", str(mine))
    assert ended.status == 0, ended.output
    ended = finished.execute("scorepath", "crate")
    assert ended.status == 0, ended.output
    with zipfile.ZipFile(finished.path("reports/crate.zip")) as archive:
        assert archive.read("mine.yaml") == mine.read_bytes()
        for name in ("ro-crate-metadata.json", "jobs.csv"):
            text = archive.read(name).decode()
            assert not [
                word for word in (str(tmp_path), str(finished.folder), platform.node(), "/home/") if word in text
            ]
            assert getpass.getuser() == "root" or getpass.getuser() not in text


def test_it_needs_no_torch(finished: Project) -> None:
    ended = finished.execute("python", "-X", "importtime", "-m", "scorepath", "crate")
    assert ended.status == 0, ended.output
    imported = {
        line.rpartition("|")[2].strip() for line in ended.output.splitlines() if line.startswith("import time:")
    }
    assert "rocrate" in imported
    assert not imported & {"torch", "pandas", "numpy", "matplotlib"}


def test_a_result_of_another_study_is_left_out(finished: Project, base_config: dict[str, Any]) -> None:
    finished.configure(estimators=[name for name in base_config["estimators"] if name != "leave_one_out"])
    assert finished.execute("scorepath", "plan").status == 0
    assert finished.execute("scorepath", "crate").status == 0
    with zipfile.ZipFile(finished.path("reports/crate.zip")) as archive:
        jobs = archive.read("jobs.csv").decode()
    assert "gradients/lqr/reinforce/" in jobs
    assert "gradients/lqr/leave_one_out/" not in jobs


def test_without_results_there_is_a_sentence(fresh: Project) -> None:
    ended = fresh.execute("scorepath", "crate")
    assert (ended.status, len(ended.output.splitlines())) == (1, 1), ended.output
    assert "results/plan.json does not exist yet" in ended.output
