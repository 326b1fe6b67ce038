"""A warm worker, that is a fork server: jobs run in processes that already hold torch.

Importing torch costs a job more than most cells compute. Snakemake therefore starts one worker
(`scorepath.running.launch`) and tells where it is by an environment variable. Whoever is to run a job
(`scorepath.running.executor`; or the command `scorepath` itself, where a shell starts it) hands its arguments, working
directory and output files to the worker. Without the variable, as by hand, a job runs by itself.

The worker imports everything once and forks as many hands as jobs may run at a time; while it still imports what only
later jobs need, the hands of a vanguard do the first ones. Whichever hand is idle takes the next job from the socket's
queue, where more jobs wait for their turn. A hand that has finished a cell takes the next one; any other job, and one
that failed, ends its hand, and a fresh fork takes its place.

Nothing outlives its owner: the worker and its hands end when the pipe that Snakemake holds closes, however that process
ended, and a hand ends when the client of its job goes away.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from scorepath.running.protocol import DECLINED


@dataclass(frozen=True)
class Jobs:
    """What the hands of a worker run.

    | field | meaning |
    |---|---|
    | run | from a subcommand's arguments to its exit status |
    | takes | whether a subcommand is one to run here at all |
    | leave_nothing | whether it leaves nothing behind but its results, so that its hand may run another |
    """

    run: Callable[[list[str]], int]
    takes: Callable[[str], bool]
    leave_nothing: Callable[[str], bool]


def serve(listener: socket.socket, until: Sequence[int], jobs: Jobs, hands: int) -> None:
    """Let so many `hands` take jobs from the socket, each one at a time, until one of the pipes `until` closes.

    The first of them is the owner's: with it, jobs that run end at once. With another they are awaited.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listener.setblocking(False)  # several hands hear of a job, one gets it
    running: dict[int, int] = {}  # a pipe that closes when the hand ends -> its process
    while not (readable := _readable(until, running, 0 if len(running) < hands else None)).intersection(until):
        _bury(running, readable)
        if len(running) < hands:
            alive, held = os.pipe()
            if not (process := os.fork()):
                try:
                    _work(listener, until, jobs)
                finally:
                    os._exit(0)
            os.close(held)
            running[alive] = process
    owned = until[0]
    while running and owned not in (readable := _readable([owned], running)):
        _bury(running, readable)
    for process in running.values():
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _readable(pipes: Iterable[int], more: Iterable[int] = (), timeout: float | None = None) -> set[int]:
    return set(select.select([*pipes, *more], [], [], timeout)[0])


def _bury(running: dict[int, int], ended: Iterable[int]) -> None:
    for pipe in ended:
        os.close(pipe)
        os.waitpid(running.pop(pipe), 0)


@contextlib.contextmanager
def vanguard(listener: socket.socket, owned: int, jobs: Jobs, hands: int) -> Iterator[None]:
    """Serve meanwhile, by a fork of this process as it is now; its hands end with the jobs that they have then."""
    relieved, held = os.pipe()
    process = os.fork()
    if not process:
        try:
            os.close(held)
            gc.freeze()
            serve(listener, [owned, relieved], jobs, hands)
        finally:
            os._exit(0)
    os.close(relieved)
    try:
        yield
    finally:
        os.close(held)  # also if this process is killed


def _work(listener: socket.socket, until: Sequence[int], jobs: Jobs) -> None:
    """Be a hand: take jobs until one asks for a fresh process; or one of the pipes closes, or the worker is killed."""
    worker = os.getppid()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    again = True
    while again and os.getppid() == worker:
        if _readable([*until, listener.fileno()]).intersection(until):
            break
        try:
            connection, _ = listener.accept()
        except BlockingIOError:  # another hand was faster
            continue
        with connection:
            again = _handle(connection, jobs)


def _handle(connection: socket.socket, jobs: Jobs) -> bool:
    """Run one job that writes to its client's files, answer with its exit status; whether this hand may go on."""
    request, descriptors, _, _ = socket.recv_fds(connection, 1 << 16, 2)
    if len(descriptors) < 2:
        return True  # the client was killed before it asked
    answered = threading.Event()
    threading.Thread(target=_end_with_client, args=[connection, answered], daemon=True).start()
    folder, *arguments = request.decode().split("\0")
    if not jobs.takes(arguments[0]):
        for descriptor in descriptors:
            os.close(descriptor)
        status = DECLINED
    else:
        with _output_to(*descriptors):
            status = _status(folder, arguments, jobs.run)
    answered.set()
    with contextlib.suppress(OSError):
        connection.send(bytes([status & 0xFF]))
        connection.shutdown(socket.SHUT_RDWR)
    return status == DECLINED or (status == 0 and jobs.leave_nothing(arguments[0]))


def _status(folder: str, arguments: list[str], run: Callable[[list[str]], int]) -> int:
    """Run one job and return its exit status, whatever happens."""
    status = 1
    try:
        os.chdir(folder)
        with warnings.catch_warnings():  # what an earlier job was warned of is news to this one
            status = run(arguments)
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
