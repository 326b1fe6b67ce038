"""Where the command `scorepath` starts: a job goes to the warm worker if there is one, everything else to the CLI.

A job that a shell starts has its own Python, so this imports next to nothing: not even `typing` and `socket`, which
would take as long as Python itself.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket as Socket
    from collections.abc import Sequence
    from typing import NoReturn

SOCKET = "SCOREPATH_WORKER"
"""Environment variable with the path of the worker's socket."""
LOCKS = os.path.join(".snakemake", "locks")
"""Where Snakemake notes which files a run makes, while it runs."""
STOPPED = 130
"""Exit status after Ctrl-C, as shells report it."""
SIGKILLED = 137
"""Likewise of a process that was killed."""
LOST = -1
"""The worker's answer where a job's process died without an exit status."""
WAS_KILLED = "scorepath: the job was killed in the worker (out of memory?)"
HERE = frozenset({"run", "plan", "answer", "check", "catalogue", "repair", "verify", "trace"})
"""The subcommands that are no jobs of a rule: the worker does not take them over."""


def hand_over(arguments: Sequence[str], output: int, errors: int) -> Socket | None:
    """Ask the worker to run a subcommand that writes to these open files; None if there is no worker to be reached."""
    path = os.environ.get(SOCKET)
    if not path:
        return None
    import _socket
    from array import array

    asked = _socket.socket(_socket.AF_UNIX)
    try:
        asked.connect(path)
        request = "\0".join([os.getcwd(), *arguments]).encode()
        files = array("i", [output, errors])
        asked.sendmsg([request], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, files)])
    except OSError:
        asked.close()
        return None
    return asked


def answer(asked: Socket) -> int | None:
    """Wait for the exit status of what was handed over.

    `LOST` if its process died without one; None if the worker died before it took the request.
    """
    try:
        status = asked.recv(1)
    except OSError:
        return None
    return status[0] if status else LOST


def delegate(arguments: Sequence[str]) -> int | None:
    """Run a subcommand in the worker and return its exit status; None if there is no worker to be reached."""
    asked = hand_over(arguments, sys.stdout.fileno(), sys.stderr.fileno())
    status = None if asked is None else answer(asked)
    if status == LOST:
        print(WAS_KILLED, file=sys.stderr)
        return SIGKILLED
    return status


def run(arguments: Sequence[str]) -> NoReturn:
    """Delete damaged results, start a warm worker, become Snakemake with these arguments; last say what it took."""
    import signal

    # Until Snakemake schedules jobs, `kill` is to be as orderly as Ctrl-C; and asyncio, in which Snakemake prepares
    # them, would replace Python's own handler of Ctrl-C by one that is heard only after the whole DAG is built.
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:  # as it is in the background of a script
            signal.signal(number, _stop)
    try:
        import runpy

        dry_run = bool({"-n", "--dry-run", "--dryrun"} & set(arguments))
        if not dry_run:
            from scorepath import cli

            if not _locked() and (status := cli.run_here(["repair"])):
                sys.exit(status)
            cores, others = cores_given(arguments)
            announce_run(cores)
            if start_worker(cores or usable_cores()) and cores:
                # a job ends and the next one is at hand: one more than there are cores waits in the worker for its turn
                arguments = ["--cores", str(cores + 1), *others]
        sys.argv[1:] = arguments
        try:
            runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
        except SystemExit:
            if not dry_run:
                from scorepath.efficiency import print_efficiency

                print_efficiency()
            raise
    except KeyboardInterrupt:
        sys.exit("scorepath: stopped; the same command goes on where it stopped")
    sys.exit()


def _stop(*_: object) -> NoReturn:
    # where this meets one of the tasks in which Snakemake prepares jobs, asyncio would show the traceback of another;
    # where it meets an import, the logger may not be there yet
    if logger := getattr(sys.modules.get("asyncio.log"), "logger", None):
        logger.disabled = True
    raise KeyboardInterrupt


def _locked() -> bool:
    """Whether another run is at work in this folder, or was killed: what looks damaged may be half done."""
    return os.path.isdir(LOCKS) and bool(os.listdir(LOCKS))


def announce_run(cores: int) -> None:
    """Tell the jobs which run they are part of, if its cores are known (not those that a profile gives)."""
    from datetime import UTC, datetime

    from scorepath.records import RUN

    os.environ.pop(RUN, None)
    if cores:
        os.environ[RUN] = f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {cores}"


def cores_given(arguments: Sequence[str]) -> tuple[int, list[str]]:
    """The number of cores that these arguments give to Snakemake, 0 if they do not; and the other arguments."""
    import argparse

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--cores", "-c", nargs="?", const="all", default="0")
    given, others = parser.parse_known_args(arguments)
    if given.cores == "all":
        return usable_cores(), others
    return int(given.cores) if given.cores.isdecimal() else 0, others  # what is no number Snakemake refuses


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
            command = [sys.executable, "-m", "scorepath.worker", path, *map(str, (*passed, jobs, int(lazy)))]
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


def main() -> int:
    """Run one subcommand, in the warm worker if there is one; `run` hands its arguments to Snakemake."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["run"]:
        run(arguments[1:])
    try:
        if arguments and arguments[0] not in HERE:
            status = delegate(arguments)
            if status is not None:
                return status
        from scorepath import cli

        return cli.run_here(arguments)
    except KeyboardInterrupt:
        print("scorepath: stopped", file=sys.stderr)
        return STOPPED


if __name__ == "__main__":
    sys.exit(main())
