"""JAX in this folder alone, and in one thread: it starts threads in its process, and other tests fork theirs."""

from __future__ import annotations

import os

import torch

os.environ.setdefault("PJRT_NPROC", "1")
torch.set_num_threads(1)
