"""How much of a run's core-seconds went into numerical work, by the records of its jobs.

A run is one call of Snakemake on one machine: each of its jobs records when the run began and how many cores it has.
Available are these cores from the start of the first job to the end of the last. What the jobs did not use is overhead
(starting jobs, Snakemake itself) and idle cores. A failed job leaves no record, so its time counts as overhead.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from scorepath.store.paths import PLANS
from scorepath.store.records import RUN, Record, all_records, jobs_by_stage
from scorepath.study.jobs import is_numerical


@dataclass(frozen=True)
class Stage:
    """What the jobs of one stage took."""

    name: str
    jobs: int
    core_seconds: float

    @property
    def numerical(self) -> bool:
        return is_numerical(self.name)


@dataclass(frozen=True)
class Efficiency:
    """What one run had and what its jobs took of it."""

    run: str
    """When its command began, as the records have it."""
    began: datetime
    """Start of the first job."""
    ended: datetime
    """End of the last job."""
    cores: int
    stages: tuple[Stage, ...]
    """Those that take the most come first."""
    other_jobs: int
    """Jobs whose results come from earlier runs, or from none; they count nowhere else."""

    @property
    def jobs(self) -> int:
        return sum(stage.jobs for stage in self.stages)

    @property
    def seconds(self) -> float:
        return (self.ended - self.began).total_seconds()

    @property
    def available(self) -> float:
        """Core-seconds."""
        return self.cores * self.seconds

    @property
    def numerical(self) -> float:
        """Core-seconds."""
        return sum(stage.core_seconds for stage in self.stages if stage.numerical)

    @property
    def unused(self) -> float:
        """Core-seconds that no job used."""
        return self.available - sum(stage.core_seconds for stage in self.stages)

    def share(self, core_seconds: float) -> float:
        """Of the core-seconds available; 0 where the clock saw none."""
        return core_seconds / self.available if self.available else 0.0

    def __str__(self) -> str:
        jobs = "1 job" if self.jobs == 1 else f"{self.jobs:,} jobs"
        cores = "1 core" if self.cores == 1 else f"{self.cores} cores"
        text = f"{jobs} in {self.seconds:,.0f} s on {cores}: {100 * self.share(self.numerical):.0f} % of the "
        text += f"{self.available:,.0f} core-seconds in numerical work"
        parts = ", ".join(f"{stage.name} {stage.core_seconds:,.0f}" for stage in self.stages if stage.numerical)
        return f"{text} ({parts})." if parts else f"{text}."


def latest_run(records: Iterable[Record]) -> Efficiency | None:
    """The run that began last of those that any result comes from; None if all were made by hand or on a cluster.

    Of earlier runs the records are no longer complete: a result made again has a new one.
    """
    stages = {name: jobs for name, jobs in jobs_by_stage(records).items() if name != PLANS.name}
    jobs = [job for own in stages.values() for job in own]
    run = max((job.run for job in jobs), default="")
    if not run:
        return None
    own = {name: [job for job in found if job.run == run] for name, found in stages.items()}
    ours = [job for found in own.values() for job in found]
    taken = [Stage(name, len(found), sum(map(_core_seconds, found))) for name, found in own.items() if found]
    return Efficiency(
        run=run,
        began=min(datetime.fromisoformat(job.started) for job in ours),
        ended=max(datetime.fromisoformat(job.ended) for job in ours),
        cores=ours[0].cores,
        stages=tuple(sorted(taken, key=lambda stage: stage.core_seconds, reverse=True)),
        other_jobs=len(jobs) - len(ours),
    )


def _core_seconds(job: Record) -> float:
    """A job's own work: on one thread no more than its time; the rest was Python's start, where no worker spared it."""
    lasted = datetime.fromisoformat(job.ended) - datetime.fromisoformat(job.started)
    return min(job.core_seconds, lasted.total_seconds())


def print_efficiency() -> None:
    """Say in a line what this process's run took, if any of its jobs ran."""
    run = os.environ.get(RUN, "").partition(" ")[0]
    if not run:
        return
    try:
        found = latest_run(all_records())
    except ValueError as error:
        print(f"scorepath: {error}", file=sys.stderr)
        return
    if found and found.run == run:
        print(found, file=sys.stderr)
