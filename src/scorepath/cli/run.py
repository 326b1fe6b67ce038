"""`scorepath run`: Snakemake beside a warm worker, which spares each job the import of torch."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from scorepath.running.launch import start_worker, usable_cores

LOCKS = os.path.join(".snakemake", "locks")
"""Where Snakemake notes which files a run makes, while it runs."""


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
            from scorepath.cli.commands import run_here

            if not _locked() and (status := run_here(["repair"])):
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
                from scorepath.provenance.efficiency import print_efficiency

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

    from scorepath.store.records import RUN

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
