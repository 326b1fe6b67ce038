"""How far a run is: counts and durations of jobs, and the lines that say so. Knows nothing of screens."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field


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


def label(rule: str, wildcards: Mapping[str, object]) -> str:
    """A job in few characters: `gradients lqr/pathwise/0.1`."""
    return " ".join([rule, "/".join(map(str, wildcards.values()))]).strip()


@dataclass
class Running:
    """One job that was started and is not done."""

    rule: str
    wildcards: dict[str, object]
    threads: int
    started: float


@dataclass
class Progress:
    """Counts and durations of jobs; knows nothing of screens. Times are seconds since the epoch."""

    started: float = field(default_factory=time.time)
    totals: dict[str, int] = field(default_factory=dict)
    total: int = 0
    cores: int | None = None
    done: Counter[str] = field(default_factory=Counter)
    core_seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    running: dict[int, Running] = field(default_factory=dict)
    failed: dict[int, Running] = field(default_factory=dict)
    busiest: int = 1

    def start(self, jobid: int, job: Running) -> None:
        self.failed.pop(jobid, None)  # a second attempt
        self.running[jobid] = job
        self.busiest = max(self.busiest, sum(other.threads for other in self.running.values()))

    def finish(self, jobid: int, now: float) -> None:
        job = self.running.pop(jobid, None)
        if job is not None:
            self.done[job.rule] += 1
            self.core_seconds[job.rule] += (now - job.started) * job.threads

    def fail(self, jobid: int) -> Running | None:
        job = self.running.pop(jobid, None)
        if job is not None:
            self.failed[jobid] = job
        return self.failed.get(jobid)

    @property
    def jobs_done(self) -> int:
        return self.done.total()

    def remaining(self, now: float) -> tuple[float, bool] | None:
        """Seconds until everything is done, and whether that is only a lower bound; None before any job is done.

        Each rule's remaining jobs are taken at the mean core-seconds of its finished ones and spread over the cores.
        Rules with no finished job yet count at the mean of all; where their jobs are many, the result leaves them out
        and is a lower bound.
        """
        if not self.jobs_done:
            return None
        mean = {rule: self.core_seconds[rule] / count for rule, count in self.done.items()}
        mean_of_all = sum(self.core_seconds.values()) / self.jobs_done
        active = Counter(job.rule for job in self.running.values())
        lost = Counter(job.rule for job in self.failed.values())
        waiting = {
            rule: max(0, total - self.done[rule] - active[rule] - lost[rule]) for rule, total in self.totals.items()
        }
        untimed = sum(count for rule, count in waiting.items() if rule not in mean)
        lower_bound = untimed > max(2, 0.05 * sum(waiting.values()))
        work = sum(count * mean[rule] for rule, count in waiting.items() if rule in mean)
        if not lower_bound:
            work += untimed * mean_of_all
        rest = [
            max(0.0, mean.get(job.rule, mean_of_all) - (now - job.started) * job.threads)
            for job in self.running.values()
        ]
        work += sum(rest)
        longest = max(rest, default=0.0)
        return max(work / (self.cores or self.busiest), longest), lower_bound

    def status(self, now: float) -> str:
        """The one line that is refreshed."""
        percent = 100 * self.jobs_done // max(1, self.total)
        parts = [f"{self.jobs_done} of {jobs(self.total)} ({percent} %)"]
        active = Counter(job.rule for job in self.running.values())
        stages = [
            rule for rule, total in self.totals.items() if total > 1 and 0 < self.done[rule] + active[rule] < total
        ]
        parts += [f"{rule} {self.done[rule]}/{self.totals[rule]}" for rule in stages[-3:]]
        if self.failed:
            parts.append(f"{len(self.failed)} FAILED")
        parts.append(f"{duration(now - self.started)} so far")
        left = self.remaining(now)
        if left is not None and self.jobs_done < self.total:
            word = "at least" if left[1] else "about"
            until = time.strftime("%H:%M", time.localtime(now + left[0]))
            parts.append(f"{word} {duration(left[0])} left ({until})")
        oldest = sorted(self.running.values(), key=lambda job: job.started)
        if oldest:
            names = ", ".join(label(job.rule, job.wildcards) for job in oldest[:2])
            more = f" and {len(oldest) - 2} more" if len(oldest) > 2 else ""
            parts.append(f"running: {names}{more}")
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
