"""Compiled steps of environments against torch: microseconds of each function for 2,048 rows, and to make them ready.

    python -m benchmarks.steps

Of every family of the catalogue whose steps are compiled; the first run on a machine compiles. Processor time.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from scorepath import registry
from scorepath.dynamics import Rows, dynamics

ROWS, CALLS = 2048, 50


def microseconds(call: Callable[[], object], calls: int = CALLS) -> float:
    """Of one call, after one that does not count."""
    call()
    began = time.process_time()
    for _ in range(calls):
        call()
    return 1e6 * (time.process_time() - began) / calls


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for name in registry.names(registry.ENVIRONMENTS):
        environment = registry.load(registry.ENVIRONMENTS, name)()
        began = time.process_time()
        found = dynamics(environment, torch.zeros(1))
        ready = time.process_time() - began
        if found is None:
            print(f"{name:20} torch")
            continue
        state = environment.initial_state(torch.randn(ROWS, environment.initial_noise_dim))
        action = torch.randn(ROWS, environment.action_dim)
        noise = torch.randn(ROWS, environment.process_noise_dim)
        signal, ones = torch.randn(ROWS, environment.observation_dim), torch.ones(ROWS)

        def told(rows: Rows, *given: torch.Tensor) -> str:
            return f"{microseconds(lambda: rows.function(*given)):7.0f} {microseconds(lambda: rows(*given)):5.0f}"

        print(f"{name:20} ready in {ready:.2f} s; torch and compiled, microseconds:")
        print(f"    step    {told(found.step, state, action, noise)}")
        print(f"    back    {told(found.step_vjp, state, action, noise, state, ones)}")
        print(f"    observe {told(found.observe, state)}")
        print(f"    back    {told(found.observe_vjp, state, signal)}")


if __name__ == "__main__":
    main()
