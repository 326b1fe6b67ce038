"""`scorepath run`: the same as `snakemake`, for those who know it by this name."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from typing import NoReturn


def run(arguments: Sequence[str]) -> NoReturn:
    """Become Snakemake with these arguments."""
    sys.argv[1:] = arguments
    runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
    sys.exit()
