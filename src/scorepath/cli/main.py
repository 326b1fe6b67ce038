"""Where the command `scorepath` starts: a job goes to the warm worker if there is one, everything else to the commands.

A job that a shell starts has its own Python, so this imports next to nothing.
"""

from __future__ import annotations

import sys

from scorepath.running.protocol import LOST, WAS_KILLED, hand_over, status_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

STOPPED = 130
"""Exit status after Ctrl-C, as shells report it."""
SIGKILLED = 137
"""Likewise of a process that was killed."""


def delegate(arguments: Sequence[str]) -> int | None:
    """Run a job in the worker and return its exit status; None if there is no worker, or it is not for the worker."""
    asked = hand_over(arguments, sys.stdout.fileno(), sys.stderr.fileno())
    status = None if asked is None else status_of(asked)
    if status == LOST:
        print(WAS_KILLED, file=sys.stderr)
        return SIGKILLED
    return status


def main() -> int:
    """Run one subcommand, in the warm worker if there is one; `run` hands its arguments to Snakemake."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["run"] and not {"-h", "--help"} & set(arguments):
        from scorepath.cli.run import run

        run(arguments[1:])
    try:
        if arguments and (status := delegate(arguments)) is not None:
            return status
        from scorepath.cli.commands import run_here

        return run_here(arguments)
    except KeyboardInterrupt:
        print("scorepath: stopped", file=sys.stderr)
        return STOPPED
