"""Where a report comes from: commit, versions, machine, and what its jobs took by their own records."""

from __future__ import annotations

import os
import platform
import re
import resource
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from scorepath.study import PACKAGE, PLAN, RESULTS

LIBRARIES = ("scorepath", "snakemake", "torch", "numpy", "scipy", "pandas", "matplotlib", "seaborn", "cma")
RECORD = re.compile(r"^took (?P<wall>[\d.]+) s, (?P<cpu>[\d.]+) core-seconds, peak memory (?P<memory>\d+) MB$", re.M)


@contextmanager
def record_of_use() -> Iterator[None]:
    """Print, at the end of a job, what it took; the log keeps it."""
    start = time.perf_counter()
    yield
    use = resource.getrusage(resource.RUSAGE_SELF)
    print(
        f"took {time.perf_counter() - start:.2f} s, {use.ru_utime + use.ru_stime:.2f} core-seconds, "
        f"peak memory {use.ru_maxrss // 1024} MB"
    )


def collect() -> dict[str, Any]:
    """Everything the report states about its own making, as nested mappings ready to show."""
    return {
        "Commit": _commit(),
        "Report made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "Machine": {
            "Processor": platform.machine(),
            "Cores": os.cpu_count(),
            "System": platform.system(),
            "Python": platform.python_version(),
        },
        "Versions": dict(_versions()),
        "Jobs (core-seconds by their own records)": _use_by_stage(),
    }


def _commit() -> str:
    """The commit of the source tree, with a mark if files differ from it; "not a git checkout" without one."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(PACKAGE), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + (" with uncommitted changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "not a git checkout"


def _versions() -> Iterator[tuple[str, str]]:
    for library in LIBRARIES:
        try:
            yield library, version(library)
        except PackageNotFoundError:
            continue


def _use_by_stage() -> dict[str, str]:
    """Jobs, core-seconds and largest memory of each stage, from the logs of the last run of every job."""
    use: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for log in sorted((RESULTS / "logs").rglob("*.log")):
        found = RECORD.search(log.read_text(encoding="utf-8", errors="replace"))
        if found:
            stage = log.relative_to(RESULTS / "logs").parts[0].removesuffix(".log")
            use[stage].append((float(found["cpu"]), int(found["memory"])))
    lines = {
        stage: f"{len(jobs)} jobs, {sum(cpu for cpu, _ in jobs):.0f} core-seconds, at most {max(m for _, m in jobs)} MB"
        for stage, jobs in use.items()
    }
    if PLAN.is_file():
        started = datetime.fromtimestamp(PLAN.stat().st_mtime, UTC)
        lines["Planned"] = started.strftime("%Y-%m-%d %H:%M UTC")
    return lines
