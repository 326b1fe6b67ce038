"""A C kernel that fuses everything (`fused.c`), built here by the machine's C compiler for its own processor.

What a compiler can be brought to do by hand for these two environments alone: no library of the field looks like that.
It is the bound beside which a general engine is judged.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from benchmarks.common import HIDDEN, SIGMA
from benchmarks.gradients.protocol import Case, Run

WORK = "full"
SOURCE = Path(__file__).with_name("fused.c")
OPTIONS = ("-Ofast", "-march=native", "-mprefer-vector-width=512", "-fopenmp-simd", "-shared", "-fPIC")


def prepare(case: Case) -> Run:
    """Raises NotImplementedError without a C compiler, and for what the kernel does not do."""
    if case.estimator == "state_value_baseline" or HIDDEN != (64, 64):
        raise NotImplementedError("only REINFORCE and pathwise, with two layers of 64")
    arrays = {name: np.ascontiguousarray(values) for name, values in case.arrays().items()}
    moments = built(case.environment)
    means = np.empty((case.batches, arrays["parameters"].size), np.float32)
    distances = np.empty(case.samples, np.float32)
    inputs = [_pointer(arrays[name]) for name in ("parameters", "initial", "action_noise")]
    sizes = ctypes.c_int(case.samples), ctypes.c_int(case.horizon)
    signal = ctypes.c_float(SIGMA), ctypes.c_int(case.estimator == "pathwise")

    def run() -> dict[str, np.ndarray]:
        if moments(*inputs, *sizes, *signal, _pointer(means), _pointer(distances)):
            raise MemoryError("no memory for the kernel")
        return {"means": means, "deviations": distances, "projections": means @ arrays["direction"]}

    return run


def built(environment: str) -> ctypes._NamedFuncPointer:
    """The kernel of an environment."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise NotImplementedError("there is no C compiler, `cc`")
    with tempfile.TemporaryDirectory(prefix="scorepath-benchmark-") as folder:
        library = Path(folder) / "fused.so"
        command = [compiler, *OPTIONS, f"-D{environment.upper()}", str(SOURCE), "-o", str(library), "-lm"]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode:
            raise NotImplementedError(f"cc: {made.stderr.splitlines()[0] if made.stderr else made.returncode}")
        return ctypes.CDLL(str(library)).moments


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
