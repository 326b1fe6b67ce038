"""Contestants: what is timed, one module each, every one in a process of its own.

A module of gradient statistics has `prepare(case) -> run` (see `protocol`), which does everything that is done once,
and `WORK`, how much of the work `run` does. `python -m benchmarks.contestants NAME THREADS` serves one.
"""
