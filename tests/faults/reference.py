"""A run left alone: what a run that was struck is compared with, and the clock by which moments are told."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.faults.study import LONGEST, Running, Study
from tests.helpers.project import Project

PLANNING = 3.0
"""Seconds until a study writes its first file, the plan, about."""


def results_in(project: Project) -> dict[str, bytes | None]:
    """All files under results/ and reports/ but records, logs and hidden ones; None for what is no file."""
    found: dict[str, bytes | None] = {}
    for top in ("results", "reports"):
        for path in sorted(project.path(top).rglob("*")):
            name = path.relative_to(project.folder).as_posix()
            if name.startswith(("results/logs", "results/records")) or path.name.startswith("."):
                continue
            if path.is_file():
                found[name] = path.read_bytes()
            elif path.suffix in (".csv", ".npz", ".svg", ".html", ".json", ".zip"):
                found[name] = None
    return found


@dataclass(frozen=True)
class Reference:
    """A run left alone: what it wrote and when, in seconds since its start."""

    results: dict[str, bytes]
    times: dict[str, float]

    @property
    def duration(self) -> float:
        return max(self.times.values())

    def reached(self, study: Study) -> float:
        """How far a study is: the moment at which the run left alone had as many results."""
        return sorted([0.0, *self.times.values()])[self._done(study)]

    def wait(self, study: Study, process: Running, moment: float) -> bool:
        """Wait until a running study is where the run left alone was at a moment; False if it ended before."""
        earlier = [written for written in self.times.values() if written <= moment]
        while self._done(study) < len(earlier) and process.poll() is None:
            time.sleep(0.03)
        struck = time.monotonic() + moment - max(earlier, default=0.0)
        # or when the next result is there, which on a busy machine may be earlier
        while time.monotonic() < struck and self._done(study) <= len(earlier) and process.poll() is None:
            time.sleep(0.03)
        return process.poll() is None

    def set_back(self, study: Study, moment: float) -> None:
        """Delete what the run left alone did not yet have at a moment."""
        for name, written in self.times.items():
            if written > moment and study.path(name).is_file():
                study.path(name).unlink()

    def _done(self, study: Study) -> int:
        return sum(study.path(name).exists() for name in self.times)


def left_alone(study: Study) -> Reference:
    """Run the study from nothing."""
    study.clear()
    process = study.start()
    if process.wait(LONGEST):
        raise RuntimeError(f"the study does not even run when left alone:\n{study.output()}")
    return reference_of(study.project)


def reference_of(project: Project) -> Reference:
    """A finished study as a reference."""
    results = {name: data for name, data in results_in(project).items() if data is not None}
    written = {name: project.path(name).stat().st_mtime for name in results}
    began = min(written.values()) - PLANNING
    return Reference(results, {name: moment - began for name, moment in written.items()})
