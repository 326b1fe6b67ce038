"""JAX, jitted `vmap(grad)` as in `jax_vmap_grad`, in chunks of trajectories of the size that is fastest here.

What a chunk leaves between one operation and the next then stays in the processor's caches.
"""

from __future__ import annotations

from benchmarks.contestants.jax_vmap_grad import in_chunks
from benchmarks.contestants.protocol import Case, Run, fastest

WORK = "full"
CHUNKS = (64, 128, 256, 512)


def prepare(case: Case) -> Run:
    return fastest(in_chunks(case, size) for size in CHUNKS if size <= case.samples)
