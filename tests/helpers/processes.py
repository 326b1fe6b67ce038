"""Waiting for things to happen, and for processes to end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 10.0
"""Seconds that a process may take for what takes none."""


def until(condition: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Wait so many seconds at most until something is so."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {patience} s"
        time.sleep(0.02)


def alive(process: int) -> bool:
    """Whether a process exists and is not merely waiting to be collected (Linux)."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def mentioning(text: str) -> list[int]:
    """Processes whose command line contains a text (a socket's path, say, which is no one else's)."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                line = (folder / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if text in line and alive(int(folder.name)):
                found.append(int(folder.name))
    return found
