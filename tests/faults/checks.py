"""What must be true of a study that was struck: whole files, no process left, a sentence instead of a traceback."""

from __future__ import annotations

import contextlib
import io
import time
import zipfile
from pathlib import Path

from tests.faults.reference import Reference, results_in
from tests.faults.study import Failed, Study

from scorepath.store.paths import PLANS
from scorepath.store.records import require_intact

TIMED = {
    *("results/costs/cosine.csv", "results/costs/lqr.csv", "results/costs/swing.csv"),
    *("results/tables/costs.csv", "results/tables/verdicts_compute.csv", "results/tables/mechanisms.csv"),
    *("reports/report.html", "reports/crate.zip"),
    *(f"results/figures/{name}.svg" for name in ("cost", "learning_curves_seconds", "verdict_map")),
}
"""The results that hold measured seconds, or are drawn from them."""
PATIENCE = 30.0
"""Seconds within which everything must be gone."""


def check_files(study: Study, reference: Reference) -> None:
    """Every file that a reader would take is whole: as a run left alone wrote it, or not to be told from it."""
    with contextlib.chdir(study.project.folder):
        for name, data in results_in(study.project).items():
            if name not in reference.results:
                if Path(name).parent == PLANS:
                    continue  # another configuration's: it stays, and no job of this study takes it
                raise Failed(f"{name} is no result of this study")
            whole = data is not None and (
                same_shape(data, reference.results[name]) if name in TIMED else data == reference.results[name]
            )
            if not whole and data is not None and accepted(Path(name)):
                raise Failed(f"{name} is not what a run left alone wrote, and a reader would take it")


def accepted(result: Path) -> bool:
    try:
        require_intact(result)
    except ValueError:
        return False
    return True


def same_shape(data: bytes, other: bytes) -> bool:
    """Whether two files with different seconds in them are equally whole."""
    if other.startswith(b"PK"):
        return zipfile.is_zipfile(io.BytesIO(data))
    return data[-7:] == other[-7:] if other.startswith(b"<") else data.count(b"\n") == other.count(b"\n")


def check_processes(study: Study) -> float:
    """Nothing runs on; the seconds until that was so."""
    began = time.monotonic()
    while left := study.processes():
        if time.monotonic() - began > PATIENCE:
            raise Failed(f"still running after {PATIENCE:.0f} s: {left}")
        time.sleep(0.05)
    return time.monotonic() - began


def check_words(study: Study, answers: tuple[str, ...], came_through: bool) -> None:
    """A sentence, and no traceback, on the screen and in the logs of jobs."""
    output = study.output()
    logs = [path for path in study.path("results/logs").rglob("*.log") if b"Traceback" in path.read_bytes()]
    # Python itself says this of Ctrl-C, where it has not yet come to our code; on the screen it is "stopped"
    logs = [path for path in logs if not path.read_bytes().rstrip().endswith(b"KeyboardInterrupt")]
    if "Traceback" in output:
        raise Failed(f"the answer is a traceback:\n{output}")
    if logs:
        raise Failed(f"{logs[0].relative_to(study.project.folder)} holds a traceback:\n{logs[0].read_text()}")
    if answers and not came_through and not any(answer in output for answer in answers):
        raise Failed(f"the output says none of {answers}")


def check_end(study: Study, reference: Reference) -> None:
    """All results are there, and equal those of the run left alone."""
    check_files(study, reference)
    found = results_in(study.project)
    for name, data in reference.results.items():
        if name not in found:
            raise Failed(f"{name} is missing")
        if name not in TIMED and found[name] != data:
            raise Failed(f"{name} differs from that of a run left alone")
    partial = [path for top in ("results", "reports") for path in study.path(top).rglob(".*")]
    if partial:
        raise Failed(f"{partial[0]} was left behind")
