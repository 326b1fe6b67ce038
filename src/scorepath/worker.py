"""A warm worker: jobs are forked from one process that already holds torch.

Importing torch costs a job more than most cells compute. `scorepath run` therefore starts one worker, tells jobs about
it by an environment variable, and runs Snakemake; each `scorepath ...` job then hands its arguments, working directory
and output files to the worker, which forks. Without the variable (plain `snakemake`, a cluster) a job runs by itself.
More jobs than the worker may run at a time wait for their turn in its socket's queue.

Nothing outlives its owner: the worker ends when the pipe that Snakemake holds closes, however that process ended, and
a job's fork is killed when its client goes away; should the worker itself be killed, the forks see to that themselves.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import selectors
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

COMPUTING = ("torch", "scorepath.training")
REPORTING = ("pandas", "seaborn", "scorepath.reporting.report", "scorepath.tables")
"""What jobs of these stages import; CUDA must not be touched before a fork."""


def serve(listener: socket.socket, owned: int, job: Callable[[list[str]], int], at_once: int = 0) -> None:
    """Fork `job(arguments)` for every connection, at most `at_once` unless that is 0, until the pipe `owned` closes."""
    selector = selectors.DefaultSelector()
    selector.register(owned, selectors.EVENT_READ)
    listening = False
    children: dict[int, int] = {}  # file descriptor of a client's connection -> process
    connections: dict[int, socket.socket] = {}
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        if listening != (not at_once or len(children) < at_once):
            listening = not listening
            if listening:
                selector.register(listener, selectors.EVENT_READ)
            else:
                selector.unregister(listener)
        for key, _ in selector.select(timeout=1.0):
            if key.fileobj is listener:
                connection, _ = listener.accept()
                process = _fork(listener, connection, job)
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


def _fork(listener: socket.socket, connection: socket.socket, job: Callable[[list[str]], int]) -> int:
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
        listener.close()  # or jobs would queue here, should the worker be killed
        threading.Thread(target=_end_with_client, args=[connection], daemon=True).start()
        os.dup2(descriptors[0], 1)
        os.dup2(descriptors[1], 2)
        folder, *arguments = request.decode().split("\0")
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


def _end_with_client(connection: socket.socket) -> NoReturn:
    """End this fork when its client goes away."""
    with contextlib.suppress(OSError):
        connection.recv(1)  # clients say nothing after their request
    os._exit(1)


def _reap(selector: selectors.BaseSelector, children: dict[int, int], connections: dict[int, socket.socket]) -> None:
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
    with contextlib.suppress(OSError):
        # forks made since then hold copies of it, so that closing alone would not reach the client
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def main() -> None:
    """Entry point of the worker process: import what every job needs, then serve."""
    path, listening, owned, at_once = Path(sys.argv[1]), *map(int, sys.argv[2:5])
    try:
        with socket.socket(fileno=listening) as listener:
            if not at_once:  # a part of a study: perhaps it has no figures, or no job at all
                select.select([owned, listener.fileno()], [], [])
            for module in COMPUTING + REPORTING if at_once else COMPUTING:
                importlib.import_module(module)
                if select.select([owned], [], [], 0)[0]:
                    return  # the owner has ended meanwhile
            from scorepath import cli, records, training

            training.warm_up()
            cli.parser(), records.versions()  # made once; each fork would make them again
            gc.collect()
            gc.freeze()  # a fork's collector would touch, and so copy, all that it shares with its siblings
            serve(listener, owned, cli.run_here, at_once)
    finally:
        path.unlink(missing_ok=True)
        path.parent.rmdir()


if __name__ == "__main__":
    main()
