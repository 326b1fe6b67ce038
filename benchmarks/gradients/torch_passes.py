"""The matrix products and elementwise passes that the work needs if PyTorch makes them one after another, and no more.

No lower bound of the work: kernels that keep activations in cache between the passes take less time.

They run on the same cores with preallocated results, chunk by chunk, without a loop over time steps, without the
environment and without the fit of values. A chunk has as many trajectories as is fastest (`CHUNKS`), and each operation
is the quickest of PyTorch's that we know. Counted, for `rows = trajectories x T` and layers D-64-64-1:

- forward, once: three products with their biases, two tanh (as `1 - 2 sigmoid`, a fifth of `torch.tanh`'s time);
- backward, once: two products with transposed weights, two multiplications with `1 - h^2`;
- gradients: per trajectory and layer one product `(inputs x T) (T x outputs)`, and the sum over T for the bias;
- reduction: one pass over trajectories x P for the means, one for the differences, one for their squared norms;
- pathwise only: the backward pass goes down to the observations, for the adjoint of the simulation; its signals, times
  a number per row (there is one action), are those of the gradients.

REINFORCE and the state-value baseline count the same.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from benchmarks.common import BATCH, HIDDEN
from benchmarks.gradients.protocol import Case, Run, fastest
from torch import Tensor

WORK = "passes"
CHUNKS = (64, 128, 256, 512, 1024)
OBSERVATION_DIM = {"pendulum": 3, "cartpole": 5}


class Buffers:
    """Operands and results of one chunk; the numbers in them mean nothing."""

    def __init__(self, case: Case, chunk: int, only_products: bool) -> None:
        self.only_products = only_products
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
        self.one = torch.ones(())
        self.output = torch.empty(rows, 1)
        self.row_signals = torch.ones(rows, 1)
        count = sum(product[0].numel() for product in self.products) + sum(self.sizes[1:])
        self.gradients = torch.randn(chunk // BATCH, BATCH, count, generator=generator)
        self.means = torch.empty(chunk // BATCH, 1, count)
        self.deviations = torch.empty(chunk // BATCH, BATCH)

    def forward(self) -> None:
        results = [*self.inputs[1:], self.output]
        for layer, (weight, bias, result) in enumerate(zip(self.weights, self.biases, results, strict=True)):
            torch.addmm(bias, self.inputs[layer], weight, out=result)
            if layer < len(HIDDEN) and not self.only_products:
                torch.sub(self.one, result.sigmoid_(), alpha=2, out=result)

    def backward(self, last: int) -> None:
        """Signals from the network's output down to the input of layer `last`."""
        for layer in reversed(range(last, len(self.weights))):
            product = torch.mm if self.sizes[layer + 1] > 1 else torch.mul  # of one column
            product(self.signals[layer + 1], self.weights[layer].T, out=self.signals[layer])
            if layer and not self.only_products:
                torch.ops.aten.tanh_backward.grad_input(
                    self.signals[layer], self.inputs[layer], grad_input=self.signals[layer]
                )

    def scale(self) -> None:
        """Signals of the network's output become those of the action: times one number per row, each layer's."""
        for signals in self.signals[1:]:
            signals.mul_(self.row_signals)

    def outer_products(self) -> None:
        for layer, (product, total) in enumerate(zip(self.products, self.sums, strict=True)):
            inputs = self.inputs[layer].view(self.chunk, self.horizon, -1)
            signals = self.signals[layer + 1].view(self.chunk, self.horizon, -1)
            if signals.shape[-1] > 1:
                torch.bmm(inputs.mT, signals, out=product)
            else:  # few columns take ten times as long as few rows
                torch.bmm(signals.mT, inputs, out=product.mT)
            if not self.only_products:
                torch.sum(signals, 1, out=total)

    def reduction(self) -> None:
        torch.mean(self.gradients, 1, keepdim=True, out=self.means)
        self.gradients.sub_(self.means)
        torch.linalg.vector_norm(self.gradients, dim=-1, out=self.deviations)


def prepare(case: Case) -> Run:
    return in_best_chunks(case, only_products=False)


def products(case: Case) -> Run:
    """Only the matrix products: what is left to whoever fuses every elementwise pass into them for nothing."""
    return in_best_chunks(case, only_products=True)


def in_best_chunks(case: Case, only_products: bool) -> Run:
    def in_chunks(chunk: int) -> Run:
        buffers = Buffers(case, chunk, only_products)
        pathwise = case.estimator == "pathwise"

        def run() -> dict[str, Tensor]:
            for _ in range(0, case.samples, chunk):
                buffers.forward()
                buffers.backward(0 if pathwise else 1)
                if pathwise and not only_products:
                    buffers.scale()
                buffers.outer_products()
                if not only_products:
                    buffers.reduction()
            return {}

        return run

    return fastest(in_chunks(chunk) for chunk in CHUNKS if chunk <= case.samples)
