"""Memory that was freed is there for the next tensor."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from scorepath.memory import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.empty(2**25, dtype=np.uint8).fill(1)  # freed at once
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(way: str) -> int:
    """Pages of 32 MiB that the kernel had to supply although as much memory had just been freed."""
    answer = subprocess.run([sys.executable, "-c", PROGRAM, way], capture_output=True, text=True, check=True)
    return int(answer.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_freed_memory_is_used_again() -> None:
    assert faults("plain") > 0, "nothing to be gained here"
    assert faults("keep") == 0


MEASURED = """
import numpy as np
from scorepath.memory import keep_freed_memory, memory_needed

def fill(mebibytes):
    return lambda: np.empty(mebibytes << 20, dtype=np.uint8).fill(1)

keep_freed_memory()
fill(64)()  # freed, and kept: no later call may hide in it
print(*(memory_needed(fill(size)) >> 20 for size in (32, 8, 16)))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_the_memory_of_a_call_is_its_own() -> None:
    answer = subprocess.run([sys.executable, "-c", MEASURED], capture_output=True, text=True, check=True)
    assert [round(int(found) / 8) * 8 for found in answer.stdout.split()] == [32, 8, 16]
