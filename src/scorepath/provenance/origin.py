"""Where a report comes from: commit, versions, machine, and what its jobs took by their own records."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from scorepath.store.paths import PACKAGE, PLAN, PLANS
from scorepath.store.records import Record, all_records, jobs_by_stage, load_record, processor, record_path, versions


def collect() -> dict[str, Any]:
    """Everything the report states about its own making, as nested mappings ready to show. No clock: rebuilt it is the
    same to the byte."""
    return {
        "Commit": commit(),
        "Machine": {
            "Processor": processor(),
            "Cores": os.cpu_count(),
            "System": platform.system(),
        },
        "Versions": versions(),
        "Jobs (core-seconds by their own records)": _use_by_stage(),
    }


def commit() -> str:
    """The commit of the source tree, with a mark if files differ from it; "not a git checkout" without one."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(PACKAGE), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + (" with uncommitted changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "not a git checkout"


def _use_by_stage() -> dict[str, str]:
    """Jobs, core-seconds and largest memory of each stage, from the records of the last run of every job."""
    stages = jobs_by_stage(all_records())
    return {stage: _use(jobs) for stage, jobs in stages.items() if stage != PLANS.name} | {
        "Planned": datetime.fromisoformat(load_record(record_path(PLAN)).ended).strftime("%Y-%m-%d %H:%M UTC")
    }


def _use(jobs: Sequence[Record]) -> str:
    core_seconds = sum(job.core_seconds for job in jobs)
    return f"{len(jobs)} jobs, {core_seconds:.0f} core-seconds, at most {max(job.peak_memory for job in jobs) >> 20} MB"
