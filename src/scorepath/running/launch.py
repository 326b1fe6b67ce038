"""Starting a warm worker beside the process that is to have it."""

from __future__ import annotations

import os
import sys

from scorepath.running.protocol import SOCKET


def usable_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
    except OSError as error:
        print(f"scorepath: jobs run without a warm worker ({error})", file=sys.stderr)
        return False
    os.environ[SOCKET] = path
    return True


def put_on_path() -> None:
    """Let child processes find the command `scorepath`, also when this environment was not activated."""
    folder = os.path.dirname(sys.executable)
    if folder not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([folder, os.environ.get("PATH", "")])
