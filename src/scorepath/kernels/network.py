"""Compiled passes through a fully connected tanh network: activations live in cache, a few rows at a time.

PyTorch writes every activation of every step to memory and reads it again; that is most of the time of a rollout and
of a pull-back. Here a block of rows goes through all layers, forwards, backwards and into the sum over steps, before
the next one is looked at: nothing of size (trajectories x steps x width) is written.

Arrays of numbers are of one float type. A layout, (layers, 6) of integers, says where things are:

| column | meaning |
|---|---|
| INPUTS, OUTPUTS | sizes of the layer |
| WEIGHT, BIAS | where its weight (inputs x outputs) and its bias start in the flat parameters; bias -1: it has none |
| HIDDEN, SIGNAL | where, in the working memory, its activations and the signals on its output start (rows x outputs) |

`back` holds each layer's weight transposed, (outputs x inputs), where the parameters hold the weight.
"""

from __future__ import annotations

import contextlib

import numpy as np
from numba import njit, types
from numba.core import config
from numba.core.caching import UserProvidedCacheLocator

from scorepath.kernels.tiles import OPTIONS, product, tanh_in_place

INPUTS, OUTPUTS, WEIGHT, BIAS, HIDDEN, SIGNAL = range(6)
ROWS = 64
"""Rows at a time: what they need of two layers of 64 fits the first cache or nearly so."""


# --- through the layers -----------------------------------------------------------------------------------------------


@njit(**OPTIONS)
def forward(theta, layout, x, at, rows, zeros, work):
    """Activations of all hidden layers for rows of observations x."""
    source = x
    for layer in range(len(layout) - 1):
        inputs, outputs, bias, out = layout[layer, 0], layout[layer, 1], layout[layer, BIAS], layout[layer, HIDDEN]
        start, start_at = (theta, bias) if bias >= 0 else (zeros, 0)
        product(
            source, at, inputs, 1, rows, inputs, theta, layout[layer, WEIGHT], outputs, outputs,
            start, start_at, 0, work, out, outputs,
        )  # fmt: skip
        tanh_in_place(work, out, out + rows * outputs)
        source, at = work, out


@njit(**OPTIONS)
def backward(back, layout, signal, s_at, rows, zeros, work):
    """Signals on the outputs of all hidden layers from those on the last one's, times `1 - tanh^2`."""
    last = len(layout) - 1
    for layer in range(last - 1, -1, -1):
        width, outputs, weight = layout[layer + 1, INPUTS], layout[layer + 1, OUTPUTS], layout[layer + 1, WEIGHT]
        h, u = layout[layer, HIDDEN], layout[layer, SIGNAL]
        if layer == last - 1:  # few columns: no tile
            for r in range(rows):
                own = work[u + r * width : u + (r + 1) * width]
                for o in range(outputs):
                    s, weights = signal[s_at + r * outputs + o], back[weight + o * width : weight + (o + 1) * width]
                    if o == 0:
                        for j in range(width):
                            own[j] = s * weights[j]
                    else:
                        for j in range(width):
                            own[j] += s * weights[j]
        else:
            product(
                work, layout[layer + 1, SIGNAL], outputs, 1, rows, outputs, back, weight, width, width,
                zeros, 0, 0, work, u, width,
            )  # fmt: skip
        hidden, signals = work[h : h + rows * width], work[u : u + rows * width]
        for j in range(rows * width):
            signals[j] *= 1 - hidden[j] * hidden[j]


@njit(**OPTIONS)
def outer_products(layout, x, at, signal, s_at, rows, scratch, work, g):
    """Add the sum over rows of `inputs^T signals` of every layer to g, in the order of the parameters."""
    last = len(layout) - 1
    source = x
    for layer in range(last):
        inputs, outputs, weight, bias = layout[layer, 0], layout[layer, 1], layout[layer, WEIGHT], layout[layer, BIAS]
        u = layout[layer, SIGNAL]
        product(source, at, 1, inputs, inputs, rows, work, u, outputs, outputs, g, weight, outputs, g, weight, outputs)
        if bias >= 0:
            total = g[bias : bias + outputs]
            for r in range(rows):
                own = work[u + r * outputs : u + (r + 1) * outputs]
                for j in range(outputs):
                    total[j] += own[j]
        source, at = work, layout[layer, HIDDEN]
    inputs, outputs, weight, bias = layout[last, 0], layout[last, 1], layout[last, WEIGHT], layout[last, BIAS]
    for o in range(outputs):
        for j in range(inputs):
            scratch[j] = 0
        for r in range(rows):
            s, own = signal[s_at + r * outputs + o], source[at + r * inputs : at + (r + 1) * inputs]
            if bias >= 0:
                g[bias + o] += s
            for j in range(inputs):
                scratch[j] += s * own[j]
        for j in range(inputs):
            g[weight + j * outputs + o] += scratch[j]


@njit(**OPTIONS)
def squared_norms(layout, x, at, signal, s_at, rows, work):
    """The sum of the rows' squared gradients: a term is an outer product, whose norm needs no matrix."""
    last = len(layout) - 1
    source = x
    total = 0.0
    for layer in range(last + 1):
        inputs, outputs = layout[layer, INPUTS], layout[layer, OUTPUTS]
        out, out_at = (work, layout[layer, SIGNAL]) if layer < last else (signal, s_at)
        for r in range(rows):
            entering, leaving = (1.0 if layout[layer, BIAS] >= 0 else 0.0), 0.0
            own = source[at + r * inputs : at + (r + 1) * inputs]
            for j in range(inputs):
                entering += np.float64(own[j]) * np.float64(own[j])
            own = out[out_at + r * outputs : out_at + (r + 1) * outputs]
            for j in range(outputs):
                leaving += np.float64(own[j]) * np.float64(own[j])
            total += entering * leaving
        if layer < last:
            source, at = work, layout[layer, HIDDEN]
    return total


@njit(**OPTIONS)
def dot(a, b):
    """The sum of products."""
    total = a[0] * b[0]
    for j in range(1, len(a)):
        total += a[j] * b[j]
    return total


# --- what the engine calls: theta and back (1 or batches, P); batches of the other arrays -----------------------------


@njit(**OPTIONS)
def transpose(theta, layout, first, back):
    """The weights from this layer on transposed, at the same places."""
    for b in range(len(theta)):
        for layer in range(first, len(layout)):
            inputs, outputs, at = layout[layer, INPUTS], layout[layer, OUTPUTS], layout[layer, WEIGHT]
            for i in range(inputs):
                for o in range(outputs):
                    back[b, at + o * inputs + i] = theta[b, at + i * outputs + o]


@njit(**OPTIONS)
def policy_step(theta, back, layout, x, size, mean, derivative):
    """The policy's outputs at observations x (batches, n, D), and their derivatives by these, unless that is empty.

    mean: (batches, n, A); derivative: (batches, n, A, D). `size` is that of the working memory.
    """
    batches, n, width = x.shape
    last = len(layout) - 1
    inputs, outputs, weight, bias = layout[last, 0], layout[last, 1], layout[last, WEIGHT], layout[last, BIAS]
    work, zeros = np.empty(size, x.dtype), np.zeros(size, x.dtype)
    unit = np.zeros((ROWS, outputs), x.dtype)
    for b in range(batches):
        own, own_back = theta[b % len(theta)], back[b % len(theta)]
        flat = x[b].reshape(n * width)
        for first in range(0, n, ROWS):
            rows = min(ROWS, n - first)
            forward(own, layout, flat, first * width, rows, zeros, work)
            source, at = (work, layout[last - 1, HIDDEN]) if last > 0 else (flat, first * width)
            for r in range(rows):
                values = source[at + r * inputs : at + (r + 1) * inputs]
                for o in range(outputs):
                    total = dot(values, own_back[weight + o * inputs : weight + (o + 1) * inputs])
                    mean[b, first + r, o] = total + own[bias + o] if bias >= 0 else total
            if derivative.size > 0:
                for o in range(outputs):
                    if last == 0:
                        for r in range(rows):
                            for d in range(width):
                                derivative[b, first + r, o, d] = own_back[weight + o * inputs + d]
                        continue
                    unit[:, o] = 1
                    backward(own_back, layout, unit.reshape(ROWS * outputs), 0, rows, zeros, work)
                    unit[:, o] = 0
                    u, columns = layout[0, SIGNAL], layout[0, OUTPUTS]
                    for r in range(rows):
                        signals = work[u + r * columns : u + (r + 1) * columns]
                        for d in range(width):
                            derivative[b, first + r, o, d] = dot(signals, own[d * columns : (d + 1) * columns])


@njit(**OPTIONS)
def pull(theta, back, layout, x, signal, size, gradients, squares):
    """Gradients (batches, samples, P) of signals (batches, samples, T, A) at x (batches, samples, T, D), summed over T.

    Unless `squares`, (batches, samples) in float64, is empty, also the sum of the terms' squared norms.
    """
    batches, samples, steps, width = x.shape
    outputs = signal.shape[3]
    work, zeros, scratch = np.empty(size, x.dtype), np.zeros(size, x.dtype), np.empty(size, x.dtype)
    parts = (steps + ROWS - 1) // ROWS
    for b in range(batches):
        own, own_back = theta[b % len(theta)], back[b % len(theta)]
        for i in range(samples):
            g, length = gradients[b, i], 0.0
            observations, signals = x[b, i].reshape(steps * width), signal[b, i].reshape(steps * outputs)
            g[:] = 0
            for part in range(parts):
                first, stop = part * steps // parts, (part + 1) * steps // parts
                at, s_at, rows = first * width, first * outputs, stop - first
                forward(own, layout, observations, at, rows, zeros, work)
                backward(own_back, layout, signals, s_at, rows, zeros, work)
                outer_products(layout, observations, at, signals, s_at, rows, scratch, work, g)
                if squares.size > 0:
                    length += squared_norms(layout, observations, at, signals, s_at, rows, work)
            if squares.size > 0:
                squares[b, i] = length


@njit(**OPTIONS)
def moments(gradients, room, means, distances):
    """Means (P,) and squared distances (samples,), both float64, of gradients (samples, P), which stay in cache.

    Returns how many gradients are not finite, and how many exactly zero.

    The mean is taken twice: what the gradients' own precision loses in the first is found in the mean of the
    differences, which are small (Neely 1966).
    """
    samples, count = gradients.shape
    mean, correction = room[0], room[1]
    mean[:] = 0
    for i in range(samples):
        own = gradients[i]
        for j in range(count):
            mean[j] += own[j]
    for j in range(count):
        mean[j] /= samples
    correction[:] = 0
    for i in range(samples):
        own, square = gradients[i], mean[0] * 0
        for j in range(count):
            difference = own[j] - mean[j]
            square += difference * difference
            correction[j] += difference
        distances[i] = square
    length = 0.0
    for j in range(count):
        rest = np.float64(correction[j]) / samples
        means[j] = np.float64(mean[j]) + rest
        length += rest * rest
    for i in range(samples):
        distances[i] -= length
    nonfinite = zeros = 0
    whole = np.isfinite(means).all()
    for i in range(samples):
        if not whole and not np.isfinite(gradients[i]).all():
            nonfinite += 1
        if gradients[i, -1] == 0 and not gradients[i].any():  # few rows end in a zero: only those are looked at whole
            zeros += 1
    return nonfinite, zeros


# --- compiling --------------------------------------------------------------------------------------------------------


class Together(UserProvidedCacheLocator):  # type: ignore[misc]  # Numba has no types
    """The folder itself, not one in it for each place that these sources lie in: it is named after what they say."""

    def __init__(self, py_func, py_file):
        super().__init__(py_func, py_file)
        self._cache_path = config.CACHE_DIR


def keep() -> None:
    """Keep what is compiled in the folder of Numba's configuration as it is now."""
    before = config.CACHE_LOCATOR_CLASSES
    config.CACHE_LOCATOR_CLASSES = f"{__name__}.{Together.__name__}"
    try:
        for kernel in (transpose, policy_step, pull, moments):
            kernel.enable_caching()
    finally:
        config.CACHE_LOCATOR_CLASSES = before


def prepare(dtype: str) -> None:
    """Compile everything for one float type, or read it from disk."""
    number, size = getattr(types, dtype), types.int64

    def array(dimensions: int, kind: types.Type = number) -> types.Array:
        return types.Array(kind, dimensions, "C")

    policy = (array(2), array(2), array(2, types.int64))
    for kernel, signature in (
        (transpose, (array(2), array(2, types.int64), size, array(2))),
        (policy_step, (*policy, array(3), size, array(3), array(4))),
        (pull, (*policy, array(4), array(4), size, array(3), array(2, types.float64))),
        (moments, (array(2), array(2), array(1, types.float64), array(1, types.float64))),
    ):
        with contextlib.suppress(OSError):  # the disk is full, say: it is compiled all the same
            kernel.compile(signature)
