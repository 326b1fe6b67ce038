"""Where the command `scorepath` starts: a job goes to the warm worker if there is one, everything else to the CLI.

Thousands of jobs pass through here, so it imports next to nothing.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence

SOCKET = "SCOREPATH_WORKER"
"""Environment variable with the path of the worker's socket."""
LOST = 137
"""Exit status of a job whose process died without one, as the shell reports a killed process."""
JOBS = frozenset({
    "reference-policies", "reference", "gradients", "train", "costs",
    "exact-curves", "tables", "cost-tables", "figure", "report",
})  # fmt: skip
"""The subcommands that rules run: the worker takes them over, and they record what they took."""


def delegate(arguments: Sequence[str]) -> int | None:
    """Run a subcommand in the worker and return its exit status; None if there is no worker to be reached."""
    path = os.environ.get(SOCKET)
    if not path:
        return None
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(path)
        except OSError:
            return None
        request = "\0".join([os.getcwd(), *arguments]).encode()
        socket.send_fds(client, [request], [sys.stdout.fileno(), sys.stderr.fileno()])
        answer = client.recv(1)
    if not answer:
        print("scorepath: the job was killed in the worker (out of memory?)", file=sys.stderr)
        return LOST
    return answer[0]


def put_on_path() -> None:
    """Let child processes find the command `scorepath`, also when this environment was not activated."""
    folder = os.path.dirname(sys.executable)
    if folder not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([folder, os.environ.get("PATH", "")])


def main() -> int:
    """Run one subcommand, in the warm worker if there is one; `run` hands its arguments to Snakemake."""
    arguments = sys.argv[1:]
    if arguments and arguments[0] in JOBS:
        status = delegate(arguments)
        if status is not None:
            return status
    if arguments[:1] == ["run"]:
        from scorepath import worker

        worker.run(arguments[1:])
    from scorepath import cli

    return cli.run_here(arguments)


if __name__ == "__main__":
    sys.exit(main())
