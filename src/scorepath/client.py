"""Where the command `scorepath` starts: a job goes to the warm worker if there is one, everything else to the CLI.

Thousands of jobs pass through here, so it imports next to nothing.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence
from typing import NoReturn

SOCKET = "SCOREPATH_WORKER"
"""Environment variable with the path of the worker's socket."""
LOST = 137
"""Exit status of a job whose process died without one, as the shell reports a killed process."""
HERE = frozenset({"run", "plan", "answer", "check", "catalogue", "repair"})
"""The subcommands that are no jobs of a rule: the worker does not take them over."""


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


def run(arguments: Sequence[str]) -> NoReturn:
    """Delete damaged results, start a warm worker and become Snakemake with these arguments."""
    import subprocess
    import tempfile

    if not {"-n", "--dry-run", "--dryrun"} & set(arguments):
        from scorepath import cli

        if status := cli.run_here(["repair"]):
            sys.exit(status)
        path = os.path.join(tempfile.mkdtemp(prefix="scorepath-"), "worker")
        owned, owner = os.pipe()
        command = [sys.executable, "-m", "scorepath.worker", path, str(owned)]
        # a session of its own: Ctrl-C reaches Snakemake, which then ends its jobs in order
        subprocess.Popen(command, pass_fds=[owned], start_new_session=True)
        # Snakemake holds the pipe's other end from here on, and none of its jobs does
        os.set_inheritable(owner, True)
        os.environ[SOCKET] = path
    os.execv(sys.executable, [sys.executable, "-m", "snakemake", *arguments])


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
    if arguments and arguments[0] not in HERE:
        status = delegate(arguments)
        if status is not None:
            return status
    from scorepath import cli

    return cli.run_here(arguments)


if __name__ == "__main__":
    sys.exit(main())
