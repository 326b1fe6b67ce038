"""How the training benchmarks talk to a contestant: one request and one answer per line, as JSON on stdin and stdout.

A contestant is a module of this package with `answer(request) -> dict`. It runs in a process of its own, pinned to its
cores before torch or JAX is imported, and keeps what it has compiled from one request to the next, so that the driver
can take turns between contestants. `python -m benchmarks.training.protocol NAME THREADS` serves one.

| request | fields | answer |
|---|---|---|
| `prepare` | a `Population` | `preparation_seconds`: compilation, or a first small run |
| `train` | a `Population`, `way`, `round` | `seconds` of the whole population, and `runs` really made |
| `gradients` | a `Population`, `file` | Scorepath writes inputs and gradients, JAX answers how far its own are |
| `swing_up` | a `Race`, `seed` | see `race.Stopwatch.result` |
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Self

from benchmarks.common import ROOT, Failure, pin

HIDDEN = (32, 32)
SIGMA = 0.1
EVALUATION_TRAJECTORIES = 64
RECORDS = 10
"""Evaluations of a run besides the first, as in `scorepath.training`: every contestant makes them, in its time."""


@dataclass(frozen=True)
class Population:
    """Runs that differ in seed and learning rate only."""

    environment: str
    estimator: str
    batch_size: int
    horizon: int
    iterations: int
    seeds: int
    rates: tuple[float, ...]

    @property
    def every(self) -> int:
        """Iterations between two evaluations."""
        return max(1, self.iterations // RECORDS)


@dataclass(frozen=True)
class Race:
    """A swing-up: the threshold, and by which training it is sought (Stable-Baselines3 has its own settings).

    Attributes:
        threshold: deterministic mean return over the fixed starts that ends a run.
        cap: seconds of training after which a run has not reached it.
        method: the estimator; JAX knows `pathwise` only.
        horizon: decisions of a training trajectory (evaluation always takes `race.HORIZON`).
        batch_size: trajectories per optimiser step.
        sigma: action noise in training, N m.
        rate: Adam's learning rate.
        every: optimiser steps between two evaluations.
    """

    threshold: float
    cap: float
    method: str = "pathwise"
    horizon: int = 50
    batch_size: int = 64
    sigma: float = 0.5
    rate: float = 0.02
    every: int = 5


Answer = Callable[[Mapping[str, Any]], dict[str, Any]]


def population(request: Mapping[str, Any]) -> Population:
    """The population of a request."""
    fields = request["population"]
    return Population(**fields | {"rates": tuple(fields["rates"])})


def serve(name: str, threads: int) -> None:
    """Answer requests until stdin closes; an error is answered and ends nothing."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    pin(threads)
    answer: Answer = import_module(f"benchmarks.training.{name}").answer
    for line in sys.stdin:
        try:
            found = answer(json.loads(line))
        except Exception as error:  # a contestant that cannot do a case is a row of the table
            found = {"error": f"{type(error).__name__}: {str(error).strip()[:200]}"}
        print(json.dumps(found), file=answers, flush=True)


class Contestant:
    """A contestant's process, from the driver's side."""

    def __init__(self, name: str, threads: int) -> None:
        module = "benchmarks.training.protocol"
        command = [sys.executable, "-m", module, name, str(threads)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, what: str, **request: Any) -> dict[str, Any]:
        """The answer to one request.

        Raises:
            Failure: with what the contestant answered instead, or how it died.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        line = ""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps({"what": what, **request}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        if not line:
            raise Failure(f"its process ended with status {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise Failure(answer["error"])
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
