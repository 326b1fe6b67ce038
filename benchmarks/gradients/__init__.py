"""Gradient statistics: the contestants, one module each, and their comparison (`compare`).

Every contestant runs in a process of its own. Its module has `prepare(case) -> run` (see `protocol`), which does
everything that is done once, and `WORK`, how much of the work `run` does; a second such function is a second
contestant. `python -m benchmarks.gradients NAME THREADS` serves one.
"""
