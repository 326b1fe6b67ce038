"""What a run sets up before its jobs: whether it is one, which it is, and a warm worker that ends with it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, NoReturn

from scorepath.running.protocol import SOCKET
from scorepath.store.records import RUN, repair

LOCKS = os.path.join(".snakemake", "locks")
"""Where Snakemake notes which files a run makes, while it runs."""
LOOKS = frozenset(
    f"--{flag}"
    for flag in (
        "lint", "list", "list-rules", "list-target-rules", "summary", "detailed-summary", "dag", "rulegraph",
        "filegraph", "d3dag", "report", "unlock", "touch", "archive", "containerize", "generate-unit-tests",
        "list-changes", "list-input-changes", "list-params-changes", "list-untracked", "list-conda-envs",
        "cleanup-metadata", "cleanup-shadow", "delete-all-output", "delete-temp-output", "print-compilation",
    )
)  # fmt: skip
"""Options with which Snakemake runs no job."""


def runs_jobs(workflow: Any) -> bool:
    """Whether this Snakemake is to run jobs on this machine: no dry run, no cluster's, no job's own, no mere look."""
    settings = workflow.resource_settings
    here = settings.cores is not None and settings.nodes is None and workflow.exec_mode.name == "DEFAULT"
    return here and not workflow.output_settings.dryrun and not LOOKS & set(sys.argv)


def locked() -> bool:
    """Whether another run is at work in this folder, or was killed: what looks damaged may be half done."""
    return os.path.isdir(LOCKS) and bool(os.listdir(LOCKS))


def mend() -> None:
    """Delete damaged results, so that this run makes them again, and say which; unless another run is at work."""
    if not locked():
        for path in repair():
            print(f"{path} was damaged and is deleted; this run makes it again", file=sys.stderr)


def stop_orderly() -> None:
    """Let Ctrl-C and `kill` end Snakemake at once and with a sentence, also before it schedules jobs.

    asyncio, in which Snakemake prepares jobs, would replace Python's own handler of Ctrl-C by one that is heard only
    after the whole DAG is built; and `kill` would end Snakemake without letting it tidy up.
    """
    if threading.current_thread() is not threading.main_thread():
        return  # only there are signals handled
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):  # not ignored, as by `nohup`
            signal.signal(number, _interrupt)
    shown = sys.excepthook

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            print("scorepath: stopped; the same command goes on where it stopped", file=sys.stderr)
        else:
            shown(kind, error, trace)

    sys.excepthook = show


def _interrupt(*_: object) -> NoReturn:
    # where this meets one of the tasks in which Snakemake prepares jobs, asyncio would show the traceback of another;
    # where it meets an import, the logger may not be there yet
    if logger := getattr(sys.modules.get("asyncio.log"), "logger", None):
        logger.disabled = True
    raise KeyboardInterrupt


def announce_run(cores: int) -> None:
    """Tell this process's jobs which run they are part of: when it began, and the cores that it has."""
    os.environ[RUN] = f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {cores}"


def usable_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_is_there() -> bool:
    """Whether jobs can be handed to a worker of this process, or of the one that started it."""
    return os.path.exists(os.environ.get(SOCKET, ""))


def start_worker(jobs: int, lazy: bool = False) -> bool:
    """Start a warm worker for so many `jobs` at a time that ends with this process, and say whether that went well.

    Its socket is there at once: early jobs wait for it. A `lazy` one imports nothing before the first.
    """
    import socket
    import subprocess
    import tempfile

    try:
        path = os.path.join(tempfile.mkdtemp(prefix="scorepath-"), "worker")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(64)
            # the worker watches this pipe, whose other end this process holds and none of its jobs does
            owned, _ = os.pipe()
            passed = listener.fileno(), owned
            command = [sys.executable, "-m", "scorepath.cli.worker", path, *map(str, (*passed, jobs, int(lazy)))]
            # a session of its own: Ctrl-C reaches Snakemake, which then ends its jobs in order
            subprocess.Popen(command, pass_fds=passed, start_new_session=True)
            os.close(owned)
    except (OSError, AttributeError) as error:  # a system without such sockets, say
        print(f"scorepath: jobs run without a warm worker ({error})", file=sys.stderr)
        return False
    os.environ[SOCKET] = path
    return True


def put_on_path() -> None:
    """Let child processes find the command `scorepath`, also when this environment was not activated."""
    folder = os.path.dirname(sys.executable)
    if folder not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([folder, os.environ.get("PATH", "")])
