"""What all unit tests share: torch on one thread, as the tests themselves run side by side."""

from __future__ import annotations

import torch

torch.set_num_threads(1)
