"""How the driver and a contestant talk: one JSON object per line on stdin and stdout.

| request | what the contestant does | answer |
|---|---|---|
| `{"prepare": case}` | reads the data, builds what it runs | `{"work"}`, how much of the work that is |
| `{"run": true}` | does the work of the case once | `{"seconds", "peak_memory"}` |
| `{"save": path}` | writes what the last run found as `.npz` | `{}` |

An error is answered with `{"error": ...}` and ends nothing: the next request is served. The work of a case, the same
for all: N trajectories in batches of 64, a gradient g of P entries for every trajectory, and of these

| name | result | shape |
|---|---|---|
| `means` | the mean gradient of each batch | (N / 64, P) |
| `deviations` | the squared distance of each g from its batch's mean: the trace of the covariance | (N,) |
| `projections` | each batch's mean along a given direction | (N / 64,) |
| `mean_gradient` | instead of the others, where a contestant gives nothing else | (P,) |
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.common import BATCH, ROOT, Failure

from scorepath.memory import peak_memory, reset_peak_memory

if TYPE_CHECKING:  # a contestant imports numpy after it is pinned
    import numpy as np

TURN = 0.2
"""Seconds that a contestant's turn is to last at least after a call that warms it up; short calls are made several
times, and their mean counts."""


@dataclass(frozen=True)
class Case:
    """One cell of the benchmark.

    Attributes:
        environment: `pendulum` or `cartpole`, with default knobs.
        estimator: `reinforce`, `state_value_baseline` or `pathwise`.
        horizon: decisions per trajectory, T.
        samples: trajectories, N, a multiple of `BATCH`.
        data: the `.npz` file of the inputs, see `arrays`.
    """

    environment: str
    estimator: str
    horizon: int
    samples: int
    data: str

    @property
    def batches(self) -> int:
        return self.samples // BATCH

    def arrays(self) -> dict[str, np.ndarray]:
        """The inputs in float32; the file may hold those of more trajectories.

        | name | shape |
        |---|---|
        | `parameters`, `direction` | (P,) |
        | `initial` | (N, initial_noise_dim), standard normal |
        | `action_noise` | (N, T, 1), standard normal |
        | `past_observations` | (N / 64, 64, T, observation_dim), state-value baseline only |
        | `past_rewards`, `past_rewards_to_go` | (N / 64, 64, T), state-value baseline only |
        """
        import numpy as np

        rows = {"parameters": None, "direction": None, "initial": self.samples, "action_noise": self.samples}
        with np.load(self.data) as file:
            names = [name for name in file.files if self.estimator == "state_value_baseline" or "past" not in name]
            # copies, so that the rest of each array does not stay in memory
            return {name: file[name][: rows.get(name, self.batches)].copy() for name in names}


Run = Callable[[], Mapping[str, Any]]


def fastest(runs: Iterable[Run]) -> Run:
    """Of several ways to do the same work the one that takes the least time here, by the best of three calls."""

    def seconds(run: Run) -> float:
        run()  # compile
        times = []
        for _ in range(3):
            began = time.perf_counter()
            run()
            times.append(time.perf_counter() - began)
        return min(times)

    return min(runs, key=seconds)


# --- the contestant's side ------------------------------------------------------------------------------------------


def serve(name: str) -> None:
    """Answer requests until stdin closes: as a module, or as `module.function` where it has a second way to prepare."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    run: Run | None = None
    found: Mapping[str, Any] = {}
    for line in sys.stdin:
        request, answer = json.loads(line), {}
        try:
            if "prepare" in request:
                run, found = None, {}  # free the last case's memory first
                module_name, _, way = name.partition(".")
                module = import_module(f"benchmarks.gradients.{module_name}")
                run = getattr(module, way or "prepare")(Case(**request["prepare"]))
                answer = {"work": module.WORK}
            elif "run" in request:
                assert run is not None
                found = {}
                reset_peak_memory()
                began = time.perf_counter()
                found = run()  # finds cold caches, and its memory taken back: the contestants before were there
                calls = max(1, math.ceil(TURN / (time.perf_counter() - began)))
                began = time.perf_counter()
                for _ in range(calls):
                    run()
                seconds = (time.perf_counter() - began) / calls
                answer = {"seconds": seconds, "peak_memory": peak_memory()}
            elif "save" in request:
                import numpy as np

                np.savez(request["save"], **found)
        except NotImplementedError as error:
            answer = {"error": str(error)}
        except Exception as error:  # a contestant that cannot do a case is a row of the table
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
        print(json.dumps(answer), file=answers, flush=True)


# --- the driver's side ----------------------------------------------------------------------------------------------


class Contestant:
    """A contestant's process, from the driver's side."""

    def __init__(self, name: str, threads: int) -> None:
        self.name = name
        command = [sys.executable, "-m", "benchmarks.gradients", name, str(threads)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        line = ""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(request) + "\n")
            line = self.process.stdout.readline()
        if not line:
            raise Failure(f"its process ended with status {self.process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise Failure(answer["error"])
        return answer

    def prepare(self, case: Case) -> str:
        """Get ready; how much of the work it does."""
        return str(self._ask({"prepare": asdict(case)})["work"])

    def run(self) -> tuple[float, int]:
        """Seconds and peak resident memory in bytes of one run."""
        answer = self._ask({"run": True})
        return answer["seconds"], answer["peak_memory"]

    def save(self, path: Path) -> None:
        self._ask({"save": str(path)})

    def close(self) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
