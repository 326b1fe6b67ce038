"""How far a run is and how long the rest will take: counts and durations of jobs. Knows nothing of screens."""

from __future__ import annotations

import json
import math
import shlex
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from math import sqrt
from statistics import fmean

from scorepath.store.paths import RECORDS
from scorepath.store.records import load_record

Values = tuple[str, ...]
"""A job among those of its rule: the values of its wildcards, of which the first is most often its environment."""
Jobs = dict[str, dict[Values, float]]
"""Core-seconds of jobs, by rule."""

SWAY = 10
"""The records of a rule weigh as much as so many of its jobs in this run."""
WHOLE = 0.8
"""A run of at least so many of a rule's recorded jobs is taken to be of all its places."""


def duration(seconds: float) -> str:
    """A length of time as a person says it: 45 s, 3 min 05 s, 2 h 10 min."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def jobs(number: int) -> str:
    """So many jobs, in words."""
    return "1 job" if number == 1 else f"{number} jobs"


def recorded_jobs() -> Jobs:
    """What the jobs of earlier runs took, by their records. What cannot be read is left out: others will say so."""
    found: defaultdict[str, dict[Values, float]] = defaultdict(dict)
    for path in RECORDS.rglob("*.json"):
        with suppress(ValueError, TypeError):
            record = load_record(path)
            command, *values = shlex.split(str(record.command))[1:]
            found[command.replace("-", "_")][tuple(values)] = float(record.core_seconds)
    return dict(found)


@cache
def typical_jobs() -> Jobs:
    """What the default study's jobs took once, by their places: the first run of it has no other records.

    `python -m scorepath.running.progress > src/scorepath/running/durations.json` beside a finished one renews them.
    """
    stored = json.loads(files(__package__).joinpath("durations.json").read_text(encoding="utf-8"))
    return {
        rule: {
            (place, str(number)) if place else (): took
            for place, (many, took) in kinds.items()
            for number in range(many)
        }
        for rule, kinds in stored.items()
    }


@dataclass
class Running:
    """One job that was started and is not done."""

    rule: str
    wildcards: Mapping[str, object]
    threads: int
    started: float
    began: float | None = None
    """When it got its cores: one job more than there are cores waits in the worker."""

    @property
    def values(self) -> Values:
        return tuple(map(str, self.wildcards.values()))

    def __str__(self) -> str:
        """In few characters: `gradients lqr/pathwise/0.1`."""
        return f"{self.rule} {'/'.join(self.values)}".strip()

    def took(self, now: float) -> float:
        """Core-seconds so far."""
        return 0.0 if self.began is None else (now - self.began) * self.threads


@dataclass
class Durations:
    """What jobs take, in core-seconds: in this run, by the records of earlier ones, or by those of the default study.

    Jobs differ most by their place, the first of their wildcards: a cell of one environment takes thirty times one of
    another, and Snakemake starts large ones first without saying which wait. Places are taken to have equally many.
    """

    here: defaultdict[str, dict[Values, float]] = field(default_factory=lambda: defaultdict(dict))
    earlier: Jobs = field(default_factory=dict)
    started: defaultdict[str, set[Values]] = field(default_factory=lambda: defaultdict(set))

    def pace(self, rule: str) -> float:
        """How many times longer jobs of a recorded rule take than their records say, place by place."""
        recorded, weight = _by_place(self.earlier[rule]), SWAY * max(fmean(self.earlier[rule].values()), 1e-3)
        both = [(took, recorded[job[:1]]) for job, took in self.here[rule].items() if job[:1] in recorded]
        return (sum(took for took, _ in both) + weight) / (sum(expected for _, expected in both) + weight)

    def by_place(self, rule: str) -> dict[Values, float]:
        """Of one job of a rule, at each place of which anything is known."""
        if rule not in self.earlier:
            return _by_place(self.here[rule])
        pace = self.pace(rule)
        return _by_place(self.here[rule]) | {job: pace * took for job, took in _by_place(self.earlier[rule]).items()}

    def job(self, rule: str, job: Values) -> float | None:
        """Of one job: by those at its place, or the mean of all places."""
        known = self.by_place(rule)
        return known.get(job[:1], fmean(known.values()) if known else None)

    def waiting(self, rule: str, number: int, total: int) -> float | None:
        """Of so many of a rule's `total` jobs that have not started; None if nothing is known of any.

        A place that the rule has not come to is as far from the others as under other rules, but on a logarithmic scale
        half as far, for no two rules scale alike.
        """
        known, begun = self.by_place(rule), Counter(job[:1] for job in self.started[rule])
        if not known:
            return None
        akin = [name for name, jobs in self.started.items() if not begun.keys().isdisjoint(job[:1] for job in jobs)]
        elsewhere = {(*job, name): took for name in akin if name != rule for job, took in self.here[name].items()}
        sizes = {place: sqrt(took) for place, took in _by_place(elsewhere).items()}
        both = known.keys() & sizes.keys()
        scale = sum(known[place] for place in both) / (sum(sizes[place] for place in both) or 1)
        each = ({place: scale * size for place, size in sizes.items()} if both else {}) | known
        whole = total >= WHOLE * len(self.earlier.get(rule, ()))  # of a part, nobody knows yet which it is
        places = {job[:1] for name in akin for job in self.started[name]} | (known.keys() if whole else set())
        left = {place: max(0.0, total / len(places) - begun[place]) for place in places}
        typical = fmean(known.values())
        work = sum(many * each.get(place, typical) for place, many in left.items())
        return number * (work / sum(left.values()) if any(left.values()) else typical)


def _by_place(jobs: Mapping[Values, float]) -> dict[Values, float]:
    """The mean of the jobs whose first wildcard is the same."""
    found = defaultdict(list)
    for job, seconds in jobs.items():
        found[job[:1]].append(seconds)
    return {place: fmean(taken) for place, taken in found.items()}


@dataclass
class Progress:
    """Counts and durations of jobs. Times are seconds since the epoch."""

    started: float = field(default_factory=time.time)
    totals: dict[str, int] = field(default_factory=dict)
    total: int = 0
    cores: int | None = None
    done: Counter[str] = field(default_factory=Counter)
    durations: Durations = field(default_factory=Durations)
    running: dict[int, Running] = field(default_factory=dict)
    failed: dict[int, Running] = field(default_factory=dict)
    busiest: int = 1

    def remember(self, recorded: Jobs) -> None:
        """Take what is recorded of those rules of which about as many jobs are: other studies tell nothing.

        Of a rule without records here, those of the default study are taken if it is of that size.
        """
        typical = {rule: found for rule, found in typical_jobs().items() if self._is_like(rule, found, 1.1)}
        self.durations.earlier = typical | {
            rule: found for rule, found in recorded.items() if self._is_like(rule, found, math.inf)
        }

    def _is_like(self, rule: str, found: Mapping[Values, float], most: float) -> bool:
        total = self.totals.get(rule, 0)
        return total <= 2 * len(found) and len(found) <= most * total

    def start(self, jobid: int, job: Running) -> None:
        self.failed.pop(jobid, None)  # a second attempt
        self.running[jobid] = job
        self.durations.started[job.rule].add(job.values)
        self.busiest = max(self.busiest, sum(other.threads for other in self.running.values()))
        self._give_cores(job.started)

    def finish(self, jobid: int, now: float) -> None:
        job = self.running.pop(jobid, None)
        if job is not None:
            self.done[job.rule] += 1
            self.durations.here[job.rule][job.values] = job.took(now)
            self._give_cores(now)

    def fail(self, jobid: int) -> Running | None:
        job = self.running.pop(jobid, None)
        if job is not None:
            self.failed[jobid] = job
        return self.failed.get(jobid)

    def _give_cores(self, now: float) -> None:
        """The jobs that were started first have the cores."""
        free = self.cores or self.busiest
        for job in self.running.values():
            if free > 0 and job.began is None:
                job.began = now
            free -= job.threads

    @property
    def jobs_done(self) -> int:
        return self.done.total()

    def active(self, rule: str) -> int:
        """How many jobs of a rule run."""
        return sum(job.rule == rule for job in self.running.values())

    def remaining(self, now: float) -> float | None:
        """Seconds until everything is done; None where too many jobs, or all that run, are of unknown kinds.

        The work is spread over the cores. A job that is late is taken to need as long again as it is late.
        """
        lost = Counter(job.rule for job in self.failed.values())
        left = {rule: n - self.done[rule] - self.active(rule) - lost[rule] for rule, n in self.totals.items()}
        waiting = [(n, self.durations.waiting(rule, n, self.totals[rule])) for rule, n in left.items() if n > 0]
        expected = [self.durations.job(job.rule, job.values) for job in self.running.values()]
        unknown = sum(n for n, seconds in waiting if seconds is None) + expected.count(None)
        known = [took for found in (self.durations.here, self.durations.earlier) for took in found.values() if took]
        number = sum(n for n, _ in waiting) + len(expected)
        if not known or unknown > max(2, 0.05 * number) or 0 < len(expected) == expected.count(None):
            return None
        typical = fmean([seconds for took in known for seconds in took.values()])
        work = sum(n * typical if seconds is None else seconds for n, seconds in waiting)
        rest = [0.0]
        for job, seconds in zip(self.running.values(), expected, strict=True):
            whole = typical if seconds is None else seconds
            rest.append(max(abs(whole - job.took(now)), whole / 10))
        return max((work + sum(rest)) / (self.cores or self.busiest), *rest)

    def time_left(self, now: float) -> str:
        """The estimate in words."""
        left = self.remaining(now)
        if left is None:
            return "time left unknown"
        return f"about {duration(left)} left ({time.strftime('%H:%M', time.localtime(now + left))})"

    def names(self, most: int) -> str:
        """What runs: the names of the jobs that were started first, and how many others there are."""
        more = f" and {len(self.running) - most} more" if len(self.running) > most else ""
        return f"running: {', '.join(map(str, list(self.running.values())[:most]))}{more}"

    def status(self, now: float) -> str:
        """The run in one line."""
        percent = 100 * self.jobs_done // max(1, self.total)
        parts = [f"{self.jobs_done} of {jobs(self.total)} ({percent} %)"]
        stages = [
            rule for rule, total in self.totals.items() if total > 1 and 0 < self.done[rule] + self.active(rule) < total
        ]
        parts += [f"{rule} {self.done[rule]}/{self.totals[rule]}" for rule in stages[-3:]]
        if self.failed:
            parts.append(f"{len(self.failed)} FAILED")
        parts.append(f"{duration(now - self.started)} so far")
        if self.jobs_done < self.total:
            parts.append(self.time_left(now))
        if self.running:
            parts.append(self.names(2))
        return " | ".join(parts)

    def summary(self, now: float, log: str | None) -> str:
        """The last line of a run."""
        took = duration(now - self.started)
        if not self.failed and self.jobs_done >= self.total:
            return f"{jobs(self.total)} done in {took}."
        blocked = max(0, self.total - self.jobs_done - len(self.failed))
        text = f"Stopped after {took}: {self.jobs_done} of {jobs(self.total)} done, {len(self.failed)} failed"
        text += f", {blocked} not run." if blocked else "."
        text += " Finished results are kept: the same command runs what is missing."
        return text + (f"\nDetailed log: {log}" if log else "")


if __name__ == "__main__":
    kinds = {
        rule: {"".join(place): (sum(job[:1] == place for job in found), round(seconds, 3))
               for place, seconds in sorted(_by_place(found).items())}
        for rule, found in sorted(recorded_jobs().items())
    }  # fmt: skip
    print("{\n" + ",\n".join(f'"{rule}": {json.dumps(found)}' for rule, found in kinds.items()) + "\n}")
