"""A gradient cell as a user meets it: three checkpoints of 4,096 trajectories, against a JAX script that does the same.

    python benchmarks/run.py cell [--turns 5]

Pendulum and cart-pole with the study's own policy (32-32) and noise level 0.1, REINFORCE and pathwise, one core.
Compared are seconds from start to end of

| contestant | what it is |
|---|---|
| cold | `scorepath gradients ...` by hand: Python starts, imports torch, reads compiled kernels, computes, writes |
| warm | the same in a process that has done another cell before, as the worker's hands do one after the other |
| compiling | `benchmarks/jax_cell.py`: Python starts, imports JAX, compiles, computes, writes |
| cached | the same with JAX's persistent cache filled |

in turns, after one of each that does not count. Scorepath's cell also measures two batches in double precision and
holds all against independent batches of the reference; the script does not.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks.common import ROOT, pin
from benchmarks.pipeline import new_project

CONFIG = """
seed: 1
noise_levels: [0.1]
environments:
  - {name: pendulum, family: pendulum, horizon: 50, policy: {kind: mlp, hidden: [32, 32]}}
  - {name: cartpole, family: cartpole, horizon: 60, policy: {kind: mlp, hidden: [32, 32]}}
estimators: [reinforce, pathwise]
gradients: {samples: 4096, batch_size: 64, dtype: float32}
references: {noise_level: 0.1, return_gaps: [0, 0.5, 0.95], samples: 40960}
"""
HORIZONS = {"pendulum": 50, "cartpole": 60}
WARM = """
import sys, time
from scorepath.cli import commands
from scorepath.memory import keep_freed_memory
for _ in range(2):
    began = time.perf_counter()
    assert commands.run_here(sys.argv[1:]) == 0
print(time.perf_counter() - began)
"""


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--environments", nargs="+", choices=list(HORIZONS), default=list(HORIZONS))
    options = parser.parse_args(arguments)
    turns = options.turns
    pin(1)
    with tempfile.TemporaryDirectory(prefix="scorepath-cell-") as scratch:
        folder, cache = Path(scratch) / "project", Path(scratch) / "jax"
        (Path(scratch) / "config.yaml").write_text(CONFIG)
        new_project(folder, Path(scratch) / "config.yaml")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SCOREPATH")}
        environment["PYTHONPATH"] = os.pathsep.join([str(folder / "src"), str(ROOT)])

        def run(*command: str, **variables: str) -> float:
            began = time.perf_counter()
            given = [sys.executable, *command]
            ended = subprocess.run(given, cwd=folder, env=environment | variables, capture_output=True, text=True)
            if ended.returncode:
                sys.exit(f"{' '.join(command)[:200]} failed:\n{ended.stdout[-500:]}{ended.stderr[-2000:]}")
            return float(ended.stdout.split()[-1]) if command[:2] == ("-c", WARM) else time.perf_counter() - began

        for name in options.environments:
            horizon = HORIZONS[name]
            run("-m", "scorepath", "reference-policies", name)
            run("-m", "scorepath", "reference", name, "0.1")
            policies = folder / "results" / "references" / name / "policies.npz"
            reference = next(path for path in policies.parent.rglob("*.npz") if path != policies)
            for estimator in ("reinforce", "pathwise"):
                cell = ("gradients", name, estimator, "0.1")
                script = ("-m", "benchmarks.jax_cell", name, estimator, str(horizon), "4096")
                files = (str(policies), str(reference), str(folder / "jax.csv"))
                widths = {"SCOREPATH_BENCHMARK_HIDDEN": "32 32"}
                kept = widths | {
                    "JAX_COMPILATION_CACHE_DIR": str(cache),
                    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
                    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
                }
                ways = {
                    "cold": partial(run, "-m", "scorepath", *cell),
                    "warm": partial(run, "-c", WARM, *cell),
                    "compiling": partial(run, *script, *files, **widths),
                    "cached": partial(run, *script, *files, **kept),
                }
                found: dict[str, list[float]] = {way: [] for way in ways}
                for turn in range(turns + 1):
                    for way, call in ways.items():
                        took = call()
                        if turn:
                            found[way].append(took)
                for way, seconds in found.items():
                    low, middle, high = statistics.quantiles(seconds, n=4, method="inclusive")
                    print(f"{name:9} {estimator:10} {way:10} {middle:6.2f} s [{low:.2f}, {high:.2f}]", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
