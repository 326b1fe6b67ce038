"""A process and its memory: how much it needs, and what becomes of what it frees.

By default glibc hands large blocks back to the kernel at once, which clears every page anew when the next tensor of the
same size is asked for: a third of the time of long trajectories, and the same blocks again for every part of a cell.
"""

from __future__ import annotations

import ctypes
import gc
import resource
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

# <malloc.h>
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4
LARGEST_INT = 2**31 - 1
NOT_GLIBC = (AttributeError, OSError, TypeError)
"""What asking another C library, or another system, for a function of glibc raises."""


def keep_freed_memory() -> None:
    """Let this process, and its forks, keep freed memory for their next tensors (glibc; elsewhere nothing happens).

    Peak memory stays what it is; it is held until the process ends.
    """
    with suppress(*NOT_GLIBC):
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_MAX, 0)
        library.mallopt(M_TRIM_THRESHOLD, LARGEST_INT)


def memory_needed(call: Callable[[], object]) -> int:
    """Bytes of memory that a call needs at its peak, on top of what the process holds (Linux with glibc).

    Freed memory goes back to the kernel first, for a call would use it unseen. Elsewhere it is what the call adds to
    the most that the process ever had.
    """
    with suppress(*NOT_GLIBC):
        library = ctypes.CDLL(None)
        library.malloc_trim(0)
    reset_peak_memory()
    before = peak_memory()
    call()
    return peak_memory() - before


def reset_peak_memory() -> None:
    """Start a new high-water mark of resident memory, where the kernel allows it (Linux)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> int:
    """High-water mark of resident memory in bytes since the last reset; of the process's life elsewhere."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def collect_rarely() -> None:
    """Let the garbage collector rest: among millions of objects that live to the end it finds none, and takes long."""
    gc.set_threshold(100_000, 20, 100)
