"""What the C library does with memory that torch frees.

By default glibc hands large blocks back to the kernel at once, which clears every page anew when the next tensor of the
same size is asked for: a third of the time of long trajectories, and the same blocks again for every part of a cell.
"""

from __future__ import annotations

import contextlib
import ctypes

# <malloc.h>
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4
LARGEST_INT = 2**31 - 1


def keep_freed_memory() -> None:
    """Let this process, and its forks, keep freed memory for their next tensors (glibc; elsewhere nothing happens).

    Peak memory stays what it is; it is held until the process ends.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library, another system
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_MAX, 0)
        library.mallopt(M_TRIM_THRESHOLD, LARGEST_INT)
