"""A warm worker: jobs are forked from one process that already holds torch.

Importing torch costs a job more than most cells compute. `scorepath run` therefore starts one worker, tells jobs about
it by an environment variable, and runs Snakemake; each `scorepath ...` job then hands its arguments, working directory
and output files to the worker, which forks. Without the variable (plain `snakemake`, a cluster) a job runs by itself.

Nothing outlives its owner: the worker ends when the pipe from `scorepath run` closes, however that process ended, and
a job's fork is killed when its client goes away.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

SOCKET = "SCOREPATH_WORKER"
"""Environment variable with the path of the worker's socket."""
LOST = 137
"""Exit status of a job whose fork died without one, as the shell reports a killed process."""


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
        request = json.dumps([list(arguments), os.getcwd()]).encode()
        socket.send_fds(client, [request], [sys.stdout.fileno(), sys.stderr.fileno()])
        answer = client.recv(1)
    if not answer:
        print("scorepath: the job was killed in the worker (out of memory?)", file=sys.stderr)
        return LOST
    return answer[0]


def run(arguments: Sequence[str]) -> int:
    """Run Snakemake with these arguments beside a warm worker, and leave nothing running."""
    with tempfile.TemporaryDirectory(prefix="scorepath-") as folder:
        path = str(Path(folder) / "worker")
        owned, owner = os.pipe()  # closes with this process, whatever ends it
        command = [sys.executable, "-m", "scorepath.worker", path, str(owned)]
        # a session of its own: Ctrl-C reaches Snakemake, which then ends its jobs in order
        worker = subprocess.Popen(command, pass_fds=[owned], start_new_session=True)
        os.close(owned)
        try:
            snakemake = subprocess.Popen(
                [sys.executable, "-m", "snakemake", *arguments], env={**os.environ, SOCKET: path}
            )
            for number in (signal.SIGINT, signal.SIGTERM):
                # a terminal's Ctrl-C reaches Snakemake anyway; a signal sent to this process alone is passed on
                signal.signal(number, lambda received, _: _pass_on(snakemake, received))
            status = snakemake.wait()
            return status if status >= 0 else 128 - status
        finally:
            os.close(owner)
            worker.wait()


def _pass_on(process: subprocess.Popen[bytes], number: int) -> None:
    if process.poll() is None and number != signal.SIGINT:
        process.send_signal(number)
    elif not os.isatty(0):
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)


def serve(path: str, owned: int, job: Callable[[list[str]], int]) -> None:
    """Fork `job(arguments)` for every connection until the pipe `owned` closes."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    selector.register(owned, selectors.EVENT_READ)
    children: dict[int, int] = {}  # file descriptor of a client's connection -> process
    connections: dict[int, socket.socket] = {}
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # only to interrupt the wait below
    while True:
        for key, _ in selector.select(timeout=1.0):
            if key.fileobj is listener:
                connection, _ = listener.accept()
                process = _fork(connection, job)
                selector.register(connection, selectors.EVENT_READ)
                children[connection.fileno()] = process
                connections[connection.fileno()] = connection
            elif key.fd == owned:
                for process in children.values():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)
                return
            else:
                # the client has gone: it was killed, or it has its answer and the process is ending anyway
                with contextlib.suppress(ProcessLookupError):
                    os.kill(children.pop(key.fd), signal.SIGKILL)
                _close(selector, connections.pop(key.fd))
        _reap(selector, children, connections)


def _fork(connection: socket.socket, job: Callable[[list[str]], int]) -> int:
    """Run one job in a fork that writes to the client's files and answers with its exit status."""
    request, descriptors, _, _ = socket.recv_fds(connection, 1 << 16, 2)
    process = os.fork()
    if process:
        for descriptor in descriptors:
            os.close(descriptor)
        return process
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(descriptors[0], 1)
        os.dup2(descriptors[1], 2)
        arguments, folder = json.loads(request)
        os.chdir(folder)
        status = job(arguments)
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        with contextlib.suppress(OSError):
            connection.send(bytes([status & 0xFF]))
        os._exit(status & 0xFF)


def _reap(
    selector: selectors.BaseSelector, children: dict[int, int], connections: dict[int, socket.socket]
) -> None:
    """Collect ended forks; closing the connection of one that died unheard tells its client so."""
    while True:
        try:
            process, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if process == 0:
            return
        for descriptor in [fd for fd, child in children.items() if child == process]:
            del children[descriptor]
            _close(selector, connections.pop(descriptor))


def _close(selector: selectors.BaseSelector, connection: socket.socket) -> None:
    selector.unregister(connection)
    connection.close()


def main() -> None:
    """Entry point of the worker process: import what every job needs, then serve."""
    # torch and everything that jobs of all stages share; CUDA must not be touched before a fork
    import scorepath.costs
    import scorepath.training  # noqa: F401
    from scorepath import cli

    serve(sys.argv[1], int(sys.argv[2]), cli.run_here)


if __name__ == "__main__":
    main()
