"""Snakemake's screen output for a study of many small jobs: how far it is, what runs, when it will be done.

`logger: [scorepath]` in a profile chooses it. The detailed log still goes to `.snakemake/log`. A failed job is shown
once, with the end of its log and the command that repeats it by hand.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

from scorepath.running.errors import CHATTER, COMMAND_FAILED, SOME_JOB_FAILED, full_disk, log_tail, plain_error
from scorepath.running.progress import Progress, Running, jobs, label
from scorepath.store.records import RUN

USELESS_TIMER = 600
"""Seconds. Every scheduling round starts a timer of the rate limit's length, a thread each: thousands in a long run.
The profiles' limit is this long and never reached, so they are of no use; those of a shorter limit are left alone."""


def cancel_timers(shortest: float = 0) -> None:
    """End the scheduler's timers of at least so many seconds: threads that only wait to start another round."""
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer) and thread.interval >= shortest:
            thread.cancel()


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
