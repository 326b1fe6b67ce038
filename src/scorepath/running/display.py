"""Snakemake's screen output for a study of many small jobs: how far it is, what runs, when it will be done.

`logger: [scorepath]` in a profile chooses it. A terminal has live bars below the messages, drawn by rich; elsewhere
there is a line now and then. The detailed log still goes to `.snakemake/log`. A failed job is shown once, with the end
of its log and the command that repeats it by hand.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

from scorepath.running.errors import CHATTER, COMMAND_FAILED, SOME_JOB_FAILED, failure, plain_error
from scorepath.running.launch import stop_orderly
from scorepath.running.progress import Jobs, Progress, Running, duration, jobs, recorded_jobs
from scorepath.store.records import RUN

if TYPE_CHECKING:  # only a terminal needs rich, and every job on a cluster starts a Snakemake that imports this
    from rich.console import Console, Group
    from rich.live import Live

USELESS_TIMER = 600
"""Seconds. Every scheduling round starts a timer of the rate limit's length, a thread each: thousands in a long run.
The profiles' limit is this long and never reached, so they are of no use; those of a shorter limit are left alone."""


def cancel_timers(shortest: float = 0) -> None:
    """End the scheduler's timers of at least so many seconds: threads that only wait to start another round."""
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer) and thread.interval >= shortest:
            thread.cancel()


def picture(progress: Progress, now: float, console: Console) -> Group:
    """The live part of a terminal: the time, of what runs what fits, a bar for all jobs and one for each stage."""
    from rich.console import Group
    from rich.constrain import Constrain
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bars
    from rich.text import Text

    failed = f"{len(progress.failed)} FAILED | " if progress.failed else ""
    clock = f"{failed}{duration(now - progress.started)} so far | {progress.time_left(now)}"
    names = [progress.names(most) for most in range(1, min(9, len(progress.running)) + 1)]
    fitting = max((text for text in names if len(text) < console.width), key=len, default="".join(names[:1]))
    bars = Bars(TextColumn("{task.description}"), BarColumn(None), MofNCompleteColumn(), console=console)
    bars.add_task("all jobs", total=progress.total, completed=progress.jobs_done)
    for rule, total in progress.totals.items():
        if total > 1:
            bars.add_task(rule, total=total, completed=progress.done[rule])
    # what matters most stands first, for a low terminal; the cursor rests on a line of its own, so that the prompt
    # after a killed run begins on the left
    return Group(Text(clock), Text(fitting, no_wrap=True, overflow="ellipsis"), Constrain(bars, 60), "")


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """Options of the display; on the command line `--logger-scorepath-interval`."""

    interval: int = field(
        default=30,
        metadata={"help": "Seconds between two lines of progress where the output is not a terminal.", "type": int},
    )


class LogHandler(LogHandlerBase):
    """Turns Snakemake's log records into the display. Snakemake calls `emit` from one thread, under the lock."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = True  # Snakemake's own filter would hide errors under `--quiet`
    has_formatter = False  # Snakemake's formatter serves `--debug-dag` and `--verbose`
    needs_rulegraph = False

    def __post_init__(self) -> None:
        stop_orderly()  # Snakemake calls this first of all that is Scorepath's
        self.stream: TextIO = sys.stdout if self.common_settings.stdout else sys.stderr
        self.console: Console | None = None
        self.live: Live | None = None
        if self.stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown"):
            from rich.console import Console

            plain = self.common_settings.nocolor or "NO_COLOR" in os.environ
            self.console = Console(file=self.stream, force_terminal=True, no_color=plain, highlight=False)
        self.quiet = {str(getattr(item, "name", item)).lower() for item in self.common_settings.quiet or ()}
        interval = self.settings.interval if isinstance(self.settings, LogHandlerSettings) else 30
        self.interval = 1.0 if self.console else float(interval)
        self.progress = Progress()
        self.cores: int | None = None
        self.dry_run_table = ""
        self.detailed_log: str | None = None
        self.ticker: threading.Thread | None = None
        """Runs from the plan on; there is none where there is nothing to do."""
        self.finished = threading.Event()
        logging.raiseExceptions = False  # on a full disk the detailed log would answer every line with a traceback

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._dispatch(record)
        except BrokenPipeError:
            raise
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        cancel_timers()  # they have nothing left to wake, but would keep the process alive
        with suppress(BrokenPipeError, ValueError), self.lock or threading.RLock():
            self._print(self.dry_run_table)
            self.dry_run_table = ""
            self._summarise()  # an interrupted run has no last record
        if self.ticker is not None:
            self.ticker.join(timeout=2)
        super().close()

    # --- records ----------------------------------------------------------------------------------------------------
    def _dispatch(self, record: logging.LogRecord) -> None:
        data: dict[str, Any] = record.__dict__
        match data.get("event"):
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
                self.progress.finish(data["job_id"], record.created)
            case LogEvent.PROGRESS:
                self.progress.total = data["total"]
            case LogEvent.JOB_ERROR:
                job = self.progress.fail(data["jobid"])
                head, details = failure(data, job.wildcards if job else {})
                self._print(head, "red")
                self._print(details)
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
        elif not CHATTER.match(message):
            if record.levelno >= logging.WARNING:
                self._print(message, "red" if record.levelno >= logging.ERROR else "yellow")
            elif record.levelno >= logging.INFO and "all" not in self.quiet:
                self._print(message)

    def _plan(self, record: logging.LogRecord, stats: Mapping[str, int]) -> None:
        if self.common_settings.dryrun:
            self.dry_run_table = record.getMessage().rstrip()  # printed last, below the jobs
            return
        totals = {rule: count for rule, count in stats.items() if rule != "total"}
        # Snakemake's own number has one more, for the job that waits in the worker
        cores = int(os.environ.get(RUN, "").partition(" ")[2] or self.cores or 0)
        self.progress = Progress(started=record.created, totals=totals, total=stats["total"], cores=cores or None)
        if not self.quiet & {"all", "progress"}:
            on_cores = f" on {cores} core{'s' if cores != 1 else ''}" if cores else ""
            self._print(f"{jobs(stats['total'])}{on_cores}: " + ", ".join(f"{rule} {n}" for rule, n in totals.items()))
        self.ticker = threading.Thread(target=self._tick, name="scorepath-progress", daemon=True)
        self.ticker.start()

    def _job(self, record: logging.LogRecord, data: Mapping[str, Any]) -> None:
        job = Running(data["rule_name"], dict(data["wildcards"] or {}), int(data["threads"] or 1), record.created)
        if self.common_settings.dryrun:
            if "rules" not in self.quiet:
                reason = f"  [{data['reason']}]" if data["reason"] and "reason" not in self.quiet else ""
                named = " ".join(f"{name}={value}" for name, value in job.wildcards.items())
                self._print(f"{job.rule} {named}".rstrip() + reason)
            return
        self.progress.start(data["jobid"], job)
        if self.common_settings.printshellcmds:
            self._print(str(job))

    def _error(self, record: logging.LogRecord, exception: str | None) -> None:
        message = record.getMessage()
        if not self.common_settings.verbose:
            if SOME_JOB_FAILED in message or (exception == "RuleException" and COMMAND_FAILED.search(message)):
                return  # the record of the job itself says more
            message = plain_error(message, exception)
        self._print(message, "red")

    # --- the screen -------------------------------------------------------------------------------------------------
    def _tick(self) -> None:
        """Shows how far the run is every `interval` seconds, also while a long job sends no record."""
        earlier: Jobs | None = None
        while not self.finished.wait(self.interval):
            cancel_timers(USELESS_TIMER)
            if self.quiet & {"all", "progress"}:
                continue
            earlier = recorded_jobs() if earlier is None else earlier  # no sooner: the run may be over by now
            with self.lock or threading.RLock():
                self.progress.remember(earlier)
                if self.finished.is_set():
                    continue
                if self.console is None:
                    self._print(self.progress.status(time.time()))
                else:
                    self._draw(self.console)

    def _draw(self, console: Console) -> None:
        """Here and not by rich's own thread, so that nobody waits for two locks in another order."""
        if self.live is None:
            from rich.live import Live

            out, err = sys.stdout.isatty(), sys.stderr.isatty()
            self.live = Live(
                console=console, auto_refresh=False, transient=True, redirect_stdout=out, redirect_stderr=err
            )
            self.live.start()
            console.show_cursor()  # a killed run could not show it again
        self.live.update(picture(self.progress, time.time(), console), refresh=True)

    def _print(self, text: str, style: str = "") -> None:
        if text in ("", "None"):
            return
        if self.console is None:
            self.stream.write(f"{text}\n")
            self.stream.flush()
        else:
            from rich.text import Text

            self.console.print(Text.from_ansi(text, style=style), soft_wrap=True)

    def _summarise(self) -> None:
        if self.ticker is None or self.finished.is_set():
            return
        self.finished.set()
        if self.live is not None:
            self.live.update("")  # to stop draws it once more, however low the terminal
            self.live.stop()
        if not self.quiet & {"all", "progress"} or self.progress.failed:
            text = self.progress.summary(time.time(), self.detailed_log)
            self._print(text, "red" if self.progress.failed else "green")
