"""What all parts of the benchmarks share: the checkout, the sizes of the work, and processes pinned to their cores.

Nothing here imports numpy, torch or JAX: a contestant has to be pinned before it does.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from scorepath.memory import keep_freed_memory

ROOT = Path(__file__).parents[1]
BATCH = 64
HIDDEN = tuple(map(int, os.environ.get("SCOREPATH_BENCHMARK_HIDDEN", "64 64").split()))
"""Widths of the policy's hidden layers, in every process of a run."""
SIGMA = 0.1
RIDGE = 1e-3


class Failure(Exception):
    """What a contestant answered instead of a result, or how it died."""


def pin(threads: int) -> None:
    """Keep this process on the first `threads` of its cores, and tell every library so before it is imported."""
    cores = sorted(os.sched_getaffinity(0))
    if threads > len(cores):
        sys.exit(f"{threads} threads were asked for, but this process may use {len(cores)} cores only")
    os.sched_setaffinity(0, cores[:threads])
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC"):
        os.environ[name] = str(threads)
    if threads == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    keep_freed_memory()  # as Scorepath's jobs do, so that every contestant has it
