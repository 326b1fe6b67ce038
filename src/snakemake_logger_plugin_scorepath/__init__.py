"""Snakemake's screen output for a study of many small jobs: how far it is, what runs, when it will be done.

Snakemake finds this package by its name; `logger: [scorepath]` in a profile chooses it. The detailed log still goes to
`.snakemake/log`. A failed job is shown once, with the end of its log and the command that repeats it by hand.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

from scorepath.files import remedy
from scorepath.records import RUN

LOG_LINES = 15
"""How many of the last lines of a failed job's log are shown."""
USELESS_TIMER = 600
"""Seconds. Every scheduling round starts a timer of the rate limit's length, a thread each: thousands in a long run.
The profiles' limit is this long and never reached, so they are of no use; those of a shorter limit are left alone."""

# Snakemake's own remarks that a person who waits for a study does not need. Whatever is not listed here is shown.
CHATTER = re.compile(
    r"Assuming unrestricted shared|Building DAG|Using shell|Select jobs|Execute \d+ jobs|Shutting down, this|"
    r"Removing output files of failed|Removing temporary output|Would remove temporary|Touching output file|"
    r"Conda environments: ignored|Singularity containers: ignored|Group jobs: inactive|Loading trusted IOCache|"
    r"Config file .* command line|DAG of jobs will be updated|Updating checkpoint dependencies|Processed \d+ potential|"
    r"Reasons:\n|This was a dry-run|Some jobs were triggered by provenance|Rules with provenance triggered|"
    r"Complete log|Elapsed time|Exiting because a job execution failed"
)
SOME_JOB_FAILED = "At least one job did not complete successfully."
COMMAND_FAILED = re.compile(r"returned non-zero exit status|died with <Signals")
# "WorkflowError in rule r in file "Snakefile", line 3:" before a message, and the traceback after it
ERROR_HEADER = re.compile(r'^\w+( in rule \S+)?( in file ".*", line \d+)?:$')
TRACEBACK_LINE = re.compile(r'^  File ".*", line \d+, in ')
SYSTEM_ERROR = re.compile(r"^\w+: \[Errno (\d+)\] [^:]*(?:: '(.*)')?$", re.MULTILINE)
NOTES_READER = os.path.join("snakemake", "persistence", "file.py")
PLAIN_ERRORS = {"WorkflowError", "ConfigError", "CliException", "ApiError"}


def duration(seconds: float) -> str:
    """A length of time as a person says it: 45 s, 3 min 05 s, 2 h 10 min."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def jobs(number: int) -> str:
    return "1 job" if number == 1 else f"{number} jobs"


def label(rule: str, wildcards: Mapping[str, object]) -> str:
    """A job in few characters: `gradients lqr/pathwise/0.1`."""
    return " ".join([rule, "/".join(map(str, wildcards.values()))]).strip()


def cancel_timers(shortest: float = 0) -> None:
    """End the scheduler's timers of at least so many seconds: threads that only wait to start another round."""
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer) and thread.interval >= shortest:
            thread.cancel()


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


def plain_error(message: str, exception: str | None) -> str:
    """An error that a person can mend as just its message; errors of other kinds keep where they come from."""
    if exception == "LockException":
        return (
            "Another run is at work in this folder, or one was killed (kill -9, a power cut) and left its lock. "
            f"If no other is running: `{snakemake_command()} --unlock`, then the same command again."
        )
    if exception == "UnicodeDecodeError" and NOTES_READER in message:
        return (
            "What Snakemake noted of an earlier job in .snakemake/metadata is damaged. `scorepath repair` empties such "
            "notes, and so does `scorepath run` before it starts: then the same command goes on."
        )
    if (system := SYSTEM_ERROR.findall(message)) and (answer := remedy(int(system[-1][0]))):
        return f"{system[-1][1] or Path.cwd()}: {answer}."
    if exception not in PLAIN_ERRORS:
        return message
    lines = message.splitlines()
    while lines and TRACEBACK_LINE.match(lines[-1]):
        lines.pop()
    if len(lines) > 1 and ERROR_HEADER.match(lines[0]):
        lines.pop(0)
    return "\n".join(lines)


def snakemake_command() -> str:
    """How a person in this folder calls the Snakemake that runs."""
    command = Path(sys.executable).with_name("snakemake")
    return str(command.relative_to(Path.cwd()) if command.is_relative_to(Path.cwd()) else command)


def full_disk() -> str | None:
    """What to do if there is no room left here: a job's log can't say so then."""
    return remedy(errno.ENOSPC) if os.statvfs(".").f_bavail == 0 else None


def log_tail(paths: Iterable[str]) -> list[str]:
    """The last lines of the first log that holds any."""
    for path in paths:
        try:
            lines = Path(path).read_text(encoding="utf-8", errors="replace").rstrip().splitlines()
        except OSError:
            continue
        if lines and lines[-1] == "KeyboardInterrupt":  # Ctrl-C met Python before it came to our code
            return ["scorepath: stopped"]
        if lines:
            return lines[-LOG_LINES:]
    return []


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """Options of the display; on the command line `--logger-scorepath-interval`."""

    interval: int = field(
        default=30,
        metadata={"help": "Seconds between two lines of progress where the output is not a terminal.", "type": int},
    )


class LogHandler(LogHandlerBase):
    """Turns Snakemake's log records into the display. Snakemake calls `emit` from one thread, under the lock."""

    stream: TextIO

    def __post_init__(self) -> None:
        self.stream = sys.stdout if self.common_settings.stdout else sys.stderr
        self.terminal = self.stream.isatty() and os.environ.get("TERM") != "dumb"
        self.colour = self.terminal and not self.common_settings.nocolor and "NO_COLOR" not in os.environ
        self.quiet = {str(getattr(item, "name", item)).lower() for item in self.common_settings.quiet or ()}
        interval = self.settings.interval if isinstance(self.settings, LogHandlerSettings) else 30
        self.interval = 1.0 if self.terminal else float(interval)
        self.progress: Progress | None = None
        self.cores: int | None = None
        self.dry_run_table = ""
        self.detailed_log: str | None = None
        self.line_shown = False
        self.finished = threading.Event()
        self.ticker: threading.Thread | None = None
        logging.raiseExceptions = False  # on a full disk the detailed log would answer every line with a traceback

    # --- what Snakemake asks of a plugin ----------------------------------------------------------------------------
    @property
    def writes_to_stream(self) -> bool:
        return True

    @property
    def writes_to_file(self) -> bool:
        return False

    @property
    def has_filter(self) -> bool:
        return True  # Snakemake's own filter would hide errors under `--quiet`

    @property
    def has_formatter(self) -> bool:
        return False  # Snakemake's formatter serves `--debug-dag` and `--verbose`

    @property
    def needs_rulegraph(self) -> bool:
        return False

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._dispatch(record)
        except BrokenPipeError:
            raise
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        self.finished.set()
        cancel_timers()  # they have nothing left to wake, but would keep the process alive
        if self.ticker is not None:
            self.ticker.join(timeout=2)
        try:
            with self.lock or threading.RLock():
                if self.dry_run_table:
                    self._print(self.dry_run_table)
                    self.dry_run_table = ""
                self._summarise()  # an interrupted run has no last record
        except (BrokenPipeError, ValueError):
            pass
        super().close()

    # --- records ----------------------------------------------------------------------------------------------------
    def _dispatch(self, record: logging.LogRecord) -> None:
        data: dict[str, Any] = record.__dict__
        event = data.get("event")
        match event:
            case LogEvent.RUN_INFO:
                self._plan(record, data["stats"])
            case LogEvent.RESOURCES_INFO:
                self.cores = data.get("cores") or self.cores
            case LogEvent.JOB_INFO:
                self._job(record, data)
            case LogEvent.SHELLCMD:
                if self.common_settings.printshellcmds and data.get("shellcmd"):
                    self._print(f"    {data['shellcmd']}")
            case LogEvent.JOB_FINISHED:
                if self.progress is not None:
                    self.progress.finish(data["job_id"], record.created)
            case LogEvent.PROGRESS:
                if self.progress is not None:
                    self.progress.total = data["total"]
            case LogEvent.JOB_ERROR:
                self._job_error(data)
            case LogEvent.GROUP_ERROR:
                if data.get("aux_logs"):
                    self._print(f"A group of jobs failed; its log: {', '.join(data['aux_logs'])}")
            case LogEvent.ERROR:
                self._error(record, data.get("exception"))
            case LogEvent.DEBUG_DAG:
                if self.common_settings.debug_dag:
                    self._print(self.format(record))
            case None:
                self._remark(record)

    def _remark(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message.startswith("Complete log"):
            self.detailed_log = message.partition(": ")[2]
        if message.startswith("Elapsed time"):
            self._summarise()
        if self.common_settings.verbose:
            self._print(message)
        elif record.levelno >= logging.WARNING:
            if not CHATTER.match(message):
                self._print(message, "31" if record.levelno >= logging.ERROR else "33")
        elif record.levelno >= logging.INFO and "all" not in self.quiet and not CHATTER.match(message):
            self._print(message)

    def _plan(self, record: logging.LogRecord, stats: Mapping[str, int]) -> None:
        if self.common_settings.dryrun:
            self.dry_run_table = record.getMessage().rstrip()  # printed last, below the jobs
            return
        totals = {rule: count for rule, count in stats.items() if rule != "total"}
        self.progress = Progress(started=record.created, totals=totals, total=stats["total"], cores=self.cores)
        # Snakemake's own number has one more, for the job that waits in the worker
        given = int(os.environ.get(RUN, "").partition(" ")[2] or self.cores or 0)
        cores = f" on {given} core{'s' if given != 1 else ''}" if given else ""
        if not self.quiet & {"all", "progress"}:
            self._print(f"{jobs(stats['total'])}{cores}: " + ", ".join(f"{rule} {n}" for rule, n in totals.items()))
        self.ticker = threading.Thread(target=self._tick, name="scorepath-progress", daemon=True)
        self.ticker.start()

    def _job(self, record: logging.LogRecord, data: Mapping[str, Any]) -> None:
        wildcards = dict(data["wildcards"] or {})
        if self.common_settings.dryrun:
            if "rules" not in self.quiet:
                reason = f"  [{data['reason']}]" if data["reason"] and "reason" not in self.quiet else ""
                named = " ".join(f"{name}={value}" for name, value in wildcards.items())
                self._print(f"{data['rule_name']} {named}".rstrip() + reason)
            return
        if self.progress is not None:
            job = Running(data["rule_name"], wildcards, int(data["threads"] or 1), record.created)
            self.progress.start(data["jobid"], job)
        if self.common_settings.printshellcmds:
            self._print(label(data["rule_name"], wildcards))

    def _job_error(self, data: Mapping[str, Any]) -> None:
        job = self.progress.fail(data["jobid"]) if self.progress is not None else None
        wildcards = ", ".join(f"{name}={value}" for name, value in job.wildcards.items()) if job else ""
        head = f"FAILED: {data['rule_name']}" + (f" ({wildcards})" if wildcards else "")
        logs = [str(path) for path in data["log"] or ()]
        lines = [f"  log: {', '.join(logs)}"] if logs else ["  The rule has no log file; see the output above."]
        tail = log_tail(logs)
        lines += [f"  | {line}" for line in tail] if tail or not logs else [f"  | ({full_disk() or 'empty'})"]
        if data.get("rule_msg"):
            lines.append(f"  message: {data['rule_msg']}")
        lines += [f"  {name}: {value}" for name, value in (data.get("aux") or {}).items()]
        if data.get("shellcmd"):
            lines.append(f"  by hand: {data['shellcmd'].strip()}")
        lines.append("  Jobs that do not need its result go on.")
        self._print(head, "31")
        self._print("\n".join(lines))

    def _error(self, record: logging.LogRecord, exception: str | None) -> None:
        message = record.getMessage()
        if not self.common_settings.verbose:
            if SOME_JOB_FAILED in message or (exception == "RuleException" and COMMAND_FAILED.search(message)):
                return  # the record of the job itself says more
            message = plain_error(message, exception)
        self._print(message, "31")

    # --- the screen -------------------------------------------------------------------------------------------------
    def _tick(self) -> None:
        """Shows the status every `interval` seconds, also while a long job sends no record."""
        while not self.finished.wait(self.interval):
            cancel_timers(USELESS_TIMER)
            if self.quiet & {"all", "progress"}:
                continue
            with self.lock or threading.RLock():
                if self.progress is None or self.finished.is_set():
                    continue
                text = self.progress.status(time.time())
                if self.terminal:
                    width = shutil.get_terminal_size().columns - 1
                    self.stream.write(f"\r\x1b[K{text[:width]}")
                    self.stream.flush()
                    self.line_shown = True
                else:
                    self._print(text)

    def _print(self, text: str, colour: str = "") -> None:
        if text in ("", "None"):
            return
        if self.line_shown:
            self.stream.write("\r\x1b[K")
            self.line_shown = False
        self.stream.write(f"\x1b[{colour}m{text}\x1b[0m\n" if colour and self.colour else f"{text}\n")
        self.stream.flush()

    def _summarise(self) -> None:
        if self.progress is None:
            return
        self.finished.set()
        progress, self.progress = self.progress, None
        if not self.quiet & {"all", "progress"} or progress.failed:
            self._print(progress.summary(time.time(), self.detailed_log), "31" if progress.failed else "32")
