"""How a job is handed to the warm worker, and how its exit status comes back.

A job that a shell starts has its own Python, so this imports next to nothing: not even `typing` and `socket`, which
would take as long as Python itself.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket as Socket
    from collections.abc import Sequence

SOCKET = "SCOREPATH_WORKER"
"""Environment variable with the path of the worker's socket."""
LOST = -1
"""The worker's answer where a job's process died without an exit status."""
DECLINED = 255
"""Its answer to a subcommand that is no job of a rule."""
WAS_KILLED = "scorepath: the job was killed in the worker (out of memory?)"


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


def status_of(asked: Socket) -> int | None:
    """Wait for the exit status of what was handed over.

    `LOST` if its process died without one; None if whoever asked has to run it: the worker died before it took the
    request, or declined.
    """
    try:
        status = asked.recv(1)
    except OSError:
        return None
    if not status:
        return LOST
    return None if status[0] == DECLINED else status[0]
