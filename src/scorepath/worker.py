"""A warm worker: jobs run in processes that already hold torch.

Importing torch costs a job more than most cells compute. `scorepath run` therefore starts one worker, tells where it is
by an environment variable, and runs Snakemake. Whoever is to run a job (`snakemake_executor_plugin_scorepath`; or the
command `scorepath` itself, where a shell starts it) hands its arguments, working directory and output files to the
worker. Without the variable (plain `snakemake`) a job runs by itself.

The worker imports everything once and forks as many hands as jobs may run at a time. Whichever hand is idle takes the
next job from the socket's queue, where more jobs wait for their turn. A hand that has finished a cell takes the next
one; any other job, and one that failed, ends its hand, and a fresh fork takes its place.

Nothing outlives its owner: the worker and its hands end when the pipe that Snakemake holds closes, however that process
ended, and a hand ends when the client of its job goes away.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

COMPUTING = ("torch", "scorepath.training")
REPORTING = ("pandas", "seaborn", "scorepath.reporting.report", "scorepath.tables")
"""What jobs of these stages import; CUDA must not be touched before a fork."""
CELLS = frozenset({"reference", "gradients", "train"})
"""The subcommands that come in hundreds and leave nothing behind but their results: a hand may run many of them."""


def serve(listener: socket.socket, owned: int, job: Callable[[list[str]], int], hands: int) -> None:
    """Let so many `hands` take `job(arguments)` from the socket, each one at a time, until the pipe `owned` closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listener.setblocking(False)  # several hands hear of a job, one gets it
    running: dict[int, int] = {}  # a pipe that closes when the hand ends -> its process
    while owned not in (readable := select.select([owned, *running], [], [], 0 if len(running) < hands else None)[0]):
        for ended in readable:
            os.close(ended)
            os.waitpid(running.pop(ended), 0)
        if len(running) < hands:
            alive, held = os.pipe()
            if not (process := os.fork()):
                try:
                    _work(listener, owned, job)
                finally:
                    os._exit(0)
            os.close(held)
            running[alive] = process
    for process in running.values():
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _work(listener: socket.socket, owned: int, job: Callable[[list[str]], int]) -> None:
    """Be a hand: take jobs until one asks for a fresh process; or until the owner ends, or the worker is killed."""
    worker = os.getppid()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    again = True
    while again and os.getppid() == worker:
        if owned in select.select([owned, listener.fileno()], [], [])[0]:
            break
        try:
            connection, _ = listener.accept()
        except BlockingIOError:  # another hand was faster
            continue
        with connection:
            again = _handle(connection, job)


def _handle(connection: socket.socket, job: Callable[[list[str]], int]) -> bool:
    """Run one job that writes to its client's files, answer with its exit status; whether this hand may go on."""
    request, descriptors, _, _ = socket.recv_fds(connection, 1 << 16, 2)
    if len(descriptors) < 2:
        return True  # the client was killed before it asked
    answered = threading.Event()
    threading.Thread(target=_end_with_client, args=[connection, answered], daemon=True).start()
    folder, *arguments = request.decode().split("\0")
    with _output_to(*descriptors):
        status = _status(folder, arguments, job)
    answered.set()
    with contextlib.suppress(OSError):
        connection.send(bytes([status & 0xFF]))
        connection.shutdown(socket.SHUT_RDWR)
    return status == 0 and arguments[0] in CELLS


def _status(folder: str, arguments: list[str], job: Callable[[list[str]], int]) -> int:
    """Run one job and return its exit status, whatever happens."""
    status = 1
    try:
        os.chdir(folder)
        with warnings.catch_warnings():  # what an earlier job was warned of is news to this one
            status = job(arguments)
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        with contextlib.suppress(OSError):
            traceback.print_exc()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # its log is cut off: the disk is full, say
        status = status or 1
    return status


@contextlib.contextmanager
def _output_to(out: int, err: int) -> Iterator[None]:
    """Let a client's files be standard output and error for a while."""
    own = os.dup(1), os.dup(2)
    _replace_output(out, err)
    try:
        yield
    finally:
        _replace_output(*own)


def _replace_output(out: int, err: int) -> None:
    for descriptor, number in ((out, 1), (err, 2)):
        os.dup2(descriptor, number)
        os.close(descriptor)


def _end_with_client(connection: socket.socket, answered: threading.Event) -> None:
    """End this process when the client goes away before it has its answer."""
    with contextlib.suppress(OSError):
        connection.recv(1)  # clients say nothing after their request
    if not answered.is_set():
        os._exit(1)


def main() -> None:
    """Entry point of the worker process: import what every job needs, then serve."""
    path, (listening, owned, hands, lazy) = Path(sys.argv[1]), map(int, sys.argv[2:])
    try:
        with socket.socket(fileno=listening) as listener:
            if lazy:  # a part of a study: perhaps it has no figures, or no job at all
                select.select([owned, listener.fileno()], [], [])
            for module in COMPUTING if lazy else COMPUTING + REPORTING:
                importlib.import_module(module)
                if select.select([owned], [], [], 0)[0]:
                    return  # the owner has ended meanwhile
            from scorepath import cli, records, training

            training.warm_up()
            cli.parser(), records.versions()  # made once; each fork would make them again
            gc.collect()
            gc.freeze()  # a fork's collector would touch, and so copy, all that it shares with its siblings
            serve(listener, owned, cli.run_here, hands)
    finally:
        path.unlink(missing_ok=True)
        path.parent.rmdir()


if __name__ == "__main__":
    main()
