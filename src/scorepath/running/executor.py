"""Snakemake's local executor, whose jobs go straight to a warm worker.

`executor: scorepath` in a profile chooses it. The worker is started for the first job that wants it, unless planning
the study has done so, and ends with Snakemake. A job that is one `scorepath` command needs no shell and no Python of
its own to reach it: a thread of Snakemake's asks and waits, and each job is spared what many a cell takes to compute.
Where no worker can be had, and for any other job, all is as with `local`.
"""

from __future__ import annotations

import os
import shlex
import socket
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

from snakemake.exceptions import SpawnedJobError
from snakemake.executors import local

from scorepath.running.launch import start_worker, usable_cores, worker_is_there
from scorepath.running.protocol import LOST, WAS_KILLED, hand_over, status_of

if TYPE_CHECKING:
    from _socket import socket as Socket

    from snakemake_interface_executor_plugins.jobs import SingleJobExecutorInterface


common_settings = local.common_settings


class Executor(local.Executor):
    """Runs jobs on this machine; those that wait for the worker's answer end when the run is cancelled."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.asked: set[Socket] = set()
        self.cancelled = False
        self.lock = threading.Lock()
        self.prepared = False

    def cached_or_run(self, job: SingleJobExecutorInterface, run_func: Callable[..., object], *args: Any) -> None:
        """Run a job in one of the executor's threads.

        Raises:
            SpawnedJobError: the worker's job failed; its log says why.
            KeyboardInterrupt: the run was cancelled meanwhile.
        """
        status = self.in_worker(job)
        if status is None:
            super().cached_or_run(job, run_func, *args)
        elif status:
            raise SpawnedJobError

    def in_worker(self, job: SingleJobExecutorInterface) -> int | None:
        """The exit status of a job in the worker; None for a job that is not for the worker, or if there is none."""
        if job.is_shadow or job.benchmark is not None or self.workflow.deployment_settings.deployment_method:
            return None
        match shlex.split(job.shellcmd or ""):
            case ["scorepath", *arguments, ">", log, "2>&1"]:
                try:
                    output = open(log, "wb")  # noqa: SIM115
                except OSError:
                    return None  # a full disk, say: the shell tells it as ever
                with output:
                    self.prepare()
                    return self.ask(arguments, output.fileno())
        return None

    def prepare(self) -> None:
        """See to it, once, that there is a worker, and that one job more than there are cores waits in it.

        When a job ends, the next one is then at hand.
        """
        with self.lock:
            if self.prepared:
                return
            self.prepared = True
            cores = self.workflow.resource_settings.cores or usable_cores()
            if worker_is_there() or start_worker(cores):
                scheduler = self.workflow.scheduler
                with scheduler._lock:
                    for resources in (scheduler.global_resources, scheduler.resources):
                        resources["_cores"] += 1

    def ask(self, arguments: list[str], output: int) -> int | None:
        """Let the worker run a command that writes to this file, and wait for its exit status."""
        if (asked := hand_over(arguments, output, output)) is None:
            return None
        with closing(asked):
            with self.lock:
                self.asked.add(asked)
            status = None if self.cancelled else status_of(asked)
            with self.lock:
                self.asked.remove(asked)
        if self.cancelled:
            raise KeyboardInterrupt
        if status == LOST:
            with suppress(OSError):
                os.write(output, f"{WAS_KILLED}\n".encode())
        return status

    def cancel(self) -> None:
        with self.lock:
            self.cancelled = True
            for asked in self.asked:
                with suppress(OSError):
                    asked.shutdown(socket.SHUT_RDWR)  # the worker ends a job whose asker goes away
        super().cancel()
