"""`reports/crate.zip`: one run of a study as a Workflow Run RO-Crate, which machines can read and people can unpack.

The crate holds what the run was made from (configuration, plan, workflow, sources, pinned dependencies) and what came
out of it (tables, report), all by checksum; unpacked, `make run` computes it again. Each job, with command, times and
the checksum of its result, is a row of `jobs.csv`: at 20,000 cells a description in JSON-LD would help nobody. What the
crate says comes from the jobs' records alone, and it names no person, machine or absolute path.
"""

from __future__ import annotations

import csv
import shlex
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from importlib.metadata import metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rocrate.model import ContextEntity
from rocrate.rocrate import ROCrate

from scorepath import plugins
from scorepath.provenance.origin import commit
from scorepath.store.files import atomic_write, sha256
from scorepath.store.paths import PACKAGE, PLAN, PLANS, REPORT, REPORTS, RESULTS, TABLES, stage_of
from scorepath.store.records import Record, all_records, config_files, jobs_by_stage
from scorepath.study.cells import Plan
from scorepath.study.jobs import FOLDERS, all_jobs

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
CHECKOUT = PACKAGE.parents[1]
SOURCES = (
    "Snakefile", "workflow", "profiles", "src", "Makefile", "pyproject.toml", "requirements.lock", "README.md",
    "LICENSE", "CITATION.cff",
)  # fmt: skip
"""What of the checkout the crate holds, as far as it is there."""
GENERATED = shutil.ignore_patterns("__pycache__", "*.egg-info", ".*")
FORMATS = {
    ".csv": "text/csv", ".html": "text/html", ".json": "application/json", ".md": "text/markdown",
    ".yaml": "application/yaml", ".yml": "application/yaml", ".py": "text/x-python",
}  # fmt: skip
BINARY = "application/octet-stream"
TERMS = {
    "sha256": "http://schema.org/sha256",
    "resourceUsage": "https://w3id.org/ro/terms/workflow-run#resourceUsage",
}
"""Terms that the context of RO-Crate 1.1, on which the profiles build, does not have."""


def write_crate(path: Path) -> None:
    """Pack the study in the current folder.

    Raises:
        FileNotFoundError: where Scorepath runs from an installation without its workflow.
        ValueError: if nothing has been computed.
    """
    if not (CHECKOUT / "Snakefile").is_file():
        raise FileNotFoundError("the crate holds the workflow's files, so it is made from a checkout of Scorepath only")
    plan = Plan.load()
    records = [record for record in _records(plan) if record.file != path.as_posix()]
    if not records:
        raise ValueError("there are no records of results to describe; `make run` computes the study")
    with tempfile.TemporaryDirectory(prefix="scorepath-crate-") as folder:
        stage = Path(folder, "crate")
        configs = _fill(stage, plan, records)
        _described(stage, plan, records, configs).write(whole := Path(folder, "whole"))
        packed = shutil.make_archive(f"{folder}/packed", "zip", whole)
        with atomic_write(path, "wb") as file, Path(packed).open("rb") as data:
            shutil.copyfileobj(data, file)


def _records(plan: Plan) -> Iterator[Record]:
    """The records of this study: a result that it has no more may still lie there."""
    own = {job.result.as_posix() for job in all_jobs(plan)}
    for record in all_records():
        path = Path(record.file)
        if record.file in own or path == PLAN or stage_of(path) not in {*FOLDERS, PLANS.name}:
            yield record


def _fill(stage: Path, plan: Plan, records: Iterable[Record]) -> list[str]:
    """Copy what the crate holds into a folder; the places of the configuration's files in there."""
    stage.mkdir()
    for name in SOURCES:
        if (CHECKOUT / name).is_dir():
            shutil.copytree(CHECKOUT / name, stage / name, ignore=GENERATED)
        elif (CHECKOUT / name).is_file():
            shutil.copy2(CHECKOUT / name, stage / name)
    configs = [place for name in config_files(PLAN) if (place := _copy(Path(name), stage))]
    outcome = [PLAN, REPORT, *sorted(TABLES.glob("*.csv"))]
    for path in (*outcome, *map(Path, plan.study.files)):
        _copy(path, stage)
    for plugin in filter(Path.is_file, map(Path, plan.study.plugins)):
        for place, path in plugins.read(plugin).files.items():
            _copy_to(path, stage / _place(plugin).parent / place)
    with (stage / "jobs.csv").open("w", encoding="utf-8", newline="") as file:
        columns = [name for name in Record.__dataclass_fields__ if name != "versions"]
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(record) | {"command": _anonymous(record.command)} for record in records)
    return configs


def _place(path: Path) -> Path:
    """Where a file lies in the crate: where it lies in the study's folder, or by its mere name."""
    inside = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return Path(path.name) if inside.is_absolute() or ".." in inside.parts else inside


def _copy(path: Path, stage: Path) -> str:
    """Copy a file that exists; its place in the crate, or "" if it does not exist."""
    if not path.is_file():
        return ""
    _copy_to(path, stage / _place(path))
    return _place(path).as_posix()


def _copy_to(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, target)


def _anonymous(command: str) -> str:
    """A command without absolute paths."""
    return shlex.join(str(_place(Path(word))) if Path(word).is_absolute() else word for word in shlex.split(command))


# --- the description --------------------------------------------------------------------------------------------------


def _described(stage: Path, plan: Plan, records: list[Record], configs: list[str]) -> ROCrate:
    """The crate of a filled folder: the study, its workflow, its one run."""
    about = metadata("scorepath")
    licence = about["License-Expression"]
    crate = ROCrate(version="1.1")
    crate.metadata.extra_terms.update(TERMS)
    ended = max(record.ended for record in records)
    crate.name = "When do pathwise gradients beat REINFORCE? A run of the Scorepath study"
    crate.description = f"{about['Summary']}. Configuration, sources, tables and report of one run."
    crate.datePublished = ended
    crate.keywords = about["Keywords"]
    crate.license = _add(crate, f"https://spdx.org/licenses/{licence}", "CreativeWork", name=licence)
    authors = _add(crate, "#authors", "Organization", name=about["Author"])
    crate.root_dataset["author"] = authors
    crate.root_dataset["conformsTo"] = [
        _add(crate, profile, "CreativeWork", name=name, version=version)
        for profile, (name, version) in PROFILES.items()
    ]
    parts = {place: _add_part(crate, stage, place) for place in _parts(stage)}
    workflow = crate.add_workflow(
        stage / "Snakefile", "Snakefile", main=True, lang="snakemake", lang_version=records[-1].versions["snakemake"],
        properties={
            "name": "Scorepath's workflow", "version": f"{about['Version']} (commit: {commit()})",
            "sha256": sha256(stage / "Snakefile"), "encodingFormat": "text/plain", "author": {"@id": authors.id},
            "conformsTo": {"@id": "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"},
        },
    )  # fmt: skip
    workflow["softwareRequirements"] = [
        _add(crate, _package_url(name, version), "SoftwareApplication", name=name, softwareVersion=version)
        for name, version in sorted({item for record in records for item in record.versions.items()})
    ]
    seed = _add(crate, "#seed", "PropertyValue", name="seed", value=plan.study.seed)
    inputs = {"configuration": [parts[place] for place in configs], "seed": [seed]}
    results = [part for place, part in parts.items() if place.startswith((f"{RESULTS}/", f"{REPORTS}/", "jobs.csv"))]
    workflow["input"] = [_parameter(crate, name, values) for name, values in inputs.items() if values]
    workflow["output"] = _parameter(crate, "result", results)
    run = crate.add_action(
        workflow, "#run", object=[value for values in inputs.values() for value in values], result=results,
        properties={
            "name": "The run", "startTime": min(record.started for record in records), "endTime": ended,
            "description": f"{len({record.command for record in records})} jobs; jobs.csv has each with its times.",
            "actionStatus": "http://schema.org/CompletedActionStatus",
        },
    )  # fmt: skip
    run["resourceUsage"] = [
        _add(crate, f"#{stage}-{key}", "PropertyValue", name=f"{stage}: {words}", value=value, unitText=unit)
        for stage, jobs in jobs_by_stage(records).items()
        for key, words, value, unit in (
            ("time", f"processor time of {len(jobs)} jobs", round(sum(job.core_seconds for job in jobs), 3), "s"),
            ("memory", "peak memory of a job", max(job.peak_memory for job in jobs), "byte"),
        )
    ]
    crate.root_dataset["mentions"] = run
    return crate


def _package_url(name: str, version: str) -> str:
    return f"pkg:{'generic' if name == 'python' else 'pypi'}/{name}@{quote(version)}"


def _add(crate: ROCrate, identifier: str, kind: str, **properties: Any) -> Any:
    return crate.add(ContextEntity(crate, identifier, properties={"@type": kind, **properties}))


def _parts(stage: Path) -> list[str]:
    """The files and folders that the description names; the workflow is named apart."""
    folders = [name for name in SOURCES if (stage / name).is_dir()]
    files = [path.relative_to(stage) for path in sorted(stage.rglob("*")) if path.is_file()]
    single = [path.as_posix() for path in files if path.parts[0] not in folders and path.name != "Snakefile"]
    return [*folders, *single]


def _add_part(crate: ROCrate, stage: Path, place: str) -> Any:
    path = stage / place
    if path.is_dir():
        return crate.add_dataset(path, f"{place}/", properties={"name": f"{place}, as they were"})
    properties: dict[str, Any] = {"name": path.name, "sha256": sha256(path), "contentSize": str(path.stat().st_size)}
    properties["encodingFormat"] = FORMATS.get(path.suffix) or ("text/plain" if _is_text(path) else BINARY)
    if place == "README.md":
        properties["about"] = {"@id": "./"}
    return crate.add_file(path, place, properties=properties)


def _is_text(path: Path) -> bool:
    """Whether a file looks like text: a plugin's data may be anything."""
    with path.open("rb") as file:
        return b"\0" not in file.read(4096)


def _parameter(crate: ROCrate, name: str, values: list[Any]) -> Any:
    """A formal parameter of the workflow, and the values that it had in this run."""
    kind = "PropertyValue" if values[0].type == "PropertyValue" else "File"
    parameter = crate.add_formal_parameter(name, kind, identifier=f"#parameter-{name}")
    parameter["workExample"] = values if len(values) > 1 else values[0]
    for value in values:
        value["exampleOfWork"] = parameter
    return parameter
