"""Of the limit only the matrix products: what is left to whoever fuses every elementwise pass into them for nothing."""

from __future__ import annotations

from benchmarks.contestants import limit
from benchmarks.contestants.protocol import Case, Run

WORK = "limit"


def prepare(case: Case) -> Run:
    return limit.prepare(case, only_products=True)
