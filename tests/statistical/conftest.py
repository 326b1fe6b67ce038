"""All seeds in this folder are fixed: a test that passes once passes always, on machines that round alike."""

from __future__ import annotations

import torch

torch.set_num_threads(1)
