"""The limit: the matrix products and elementwise passes that the work cannot do without, and nothing else.

They run on the same cores with preallocated results, chunk by chunk, without a loop over time steps, without the
environment and without the fit of values. A chunk has as many trajectories as is fastest (`CHUNKS`). Counted, for
`rows = trajectories x T` and layers D-64-64-1:

- forward, once: three products with their biases, two tanh;
- backward, once: two products with transposed weights, two multiplications with `1 - h^2`;
- gradients: per trajectory and layer one product `(inputs x T) (T x outputs)`, and the sum over T for the bias;
- reduction: one pass over trajectories x P for the means, one for the differences, one for their squared norms;
- pathwise only: the backward pass once more, down to the observations, for the adjoint of the simulation. (What the
  adjoint leaves at each layer could serve the gradients as well; then this bound would be lower by that pass.)

REINFORCE and the state-value baseline count the same.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from benchmarks.contestants.protocol import BATCH, HIDDEN, Case, Run, fastest
from torch import Tensor

WORK = "limit"
CHUNKS = (64, 128, 256, 512, 1024)
OBSERVATION_DIM = {"pendulum": 3, "cartpole": 5}


class Buffers:
    """Operands and results of one chunk; the numbers in them mean nothing."""

    def __init__(self, case: Case, chunk: int) -> None:
        self.sizes = (OBSERVATION_DIM[case.environment], *HIDDEN, 1)
        self.chunk, self.horizon = chunk, case.horizon
        rows = chunk * case.horizon
        generator = torch.Generator().manual_seed(0)
        self.weights = [torch.randn(pair, generator=generator) / pair[0] ** 0.5 for pair in pairwise(self.sizes)]
        self.biases = [torch.zeros(size) for size in self.sizes[1:]]
        self.inputs = [torch.randn(rows, size, generator=generator) for size in self.sizes[:-1]]
        self.signals = [torch.randn(rows, size, generator=generator) for size in self.sizes]
        self.products = [torch.empty(chunk, *pair) for pair in pairwise(self.sizes)]
        self.sums = [torch.empty(chunk, size) for size in self.sizes[1:]]
        self.slopes = [torch.empty(rows, size) for size in HIDDEN]
        self.output = torch.empty(rows, 1)
        count = sum(product[0].numel() for product in self.products) + sum(self.sizes[1:])
        self.gradients = torch.randn(chunk // BATCH, BATCH, count, generator=generator)
        self.means = torch.empty(chunk // BATCH, 1, count)
        self.deviations = torch.empty(chunk // BATCH, BATCH)

    def forward(self) -> None:
        results = [*self.inputs[1:], self.output]
        for layer, (weight, bias, result) in enumerate(zip(self.weights, self.biases, results, strict=True)):
            torch.addmm(bias, self.inputs[layer], weight, out=result)
            if layer < len(HIDDEN):
                result.tanh_()

    def backward(self, last: int) -> None:
        """Signals from the network's output down to the input of layer `last`."""
        for layer in reversed(range(last, len(self.weights))):
            torch.mm(self.signals[layer + 1], self.weights[layer].T, out=self.signals[layer])
            if layer:
                slope = torch.mul(self.inputs[layer], self.inputs[layer], out=self.slopes[layer - 1])
                # s - s h^2 = s (1 - h^2)
                torch.addcmul(self.signals[layer], self.signals[layer], slope, value=-1, out=self.signals[layer])

    def outer_products(self) -> None:
        for layer, (product, total) in enumerate(zip(self.products, self.sums, strict=True)):
            inputs = self.inputs[layer].view(self.chunk, self.horizon, -1)
            signals = self.signals[layer + 1].view(self.chunk, self.horizon, -1)
            torch.bmm(inputs.mT, signals, out=product)
            torch.sum(signals, 1, out=total)

    def reduction(self) -> None:
        torch.mean(self.gradients, 1, keepdim=True, out=self.means)
        self.gradients.sub_(self.means)
        torch.linalg.vector_norm(self.gradients, dim=-1, out=self.deviations)


def prepare(case: Case) -> Run:
    def in_chunks(chunk: int) -> Run:
        buffers = Buffers(case, chunk)

        def run() -> dict[str, Tensor]:
            for _ in range(0, case.samples, chunk):
                buffers.forward()
                if case.estimator == "pathwise":
                    buffers.backward(0)
                buffers.backward(1)
                buffers.outer_products()
                buffers.reduction()
            return {}

        return run

    return fastest(in_chunks(chunk) for chunk in CHUNKS if chunk <= case.samples)
