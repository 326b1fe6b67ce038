"""Compiled kernels: what torch computes, whatever the network, the number of threads, and what is not finite."""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.helpers.by_torch import TorchNetwork, by_torch
from tests.helpers.comparisons import assert_close
from tests.helpers.edges import EDGES
from tests.helpers.ending_episodes import Fall
from tests.helpers.layer_inputs import layer_inputs
from tests.helpers.problems import noise, randn
from torch import Tensor

from scorepath import adjoint, pullback
from scorepath import engine as engines
from scorepath.adjoint import backpropagate, linearise
from scorepath.engine import Engine, engine, in_threads
from scorepath.environments.base import make_policy
from scorepath.moments import batch_moments, reduce_chunk
from scorepath.policies import Network, OpenLoop
from scorepath.rollout import Simulator

# widths below, at and between whole vectors of either precision; one layer to four; one action and several
NETWORKS = [
    Network((3, 64, 64, 1)),
    Network((5, 32, 32, 2)),
    Network((1, 1, 1)),
    Network((4, 17, 33, 9, 3)),
    Network((7, 100, 1)),
    Network((2, 6, 48, 2), bias=False),
]
networks = pytest.mark.parametrize("network", NETWORKS, ids=lambda network: "-".join(map(str, network.sizes)))
populations = pytest.mark.parametrize("batches", [None, 3], ids=["shared", "population"])
BATCHES, SAMPLES, STEPS = 3, 5, 70  # more steps than are taken at a time


def compiled(policy: Network, parameters: Tensor) -> Engine:
    found = engine(policy, parameters)
    assert found is not None
    return found


def problem(network: Network, batches: int | None) -> tuple[Tensor, Tensor, Tensor]:
    """Parameters, observations and a signal."""
    shape = (network.parameter_count,) if batches is None else (batches, network.parameter_count)
    observations = randn(BATCHES, SAMPLES, STEPS, network.sizes[0], seed=2)
    return 0.4 * randn(*shape, seed=1), observations, randn(BATCHES, SAMPLES, STEPS, network.sizes[-1], seed=3)


@networks
@populations
def test_every_pass_is_that_of_torch(network: Network, batches: int | None) -> None:
    parameters, x, signal = problem(network, batches)
    inputs = layer_inputs(network, parameters, x)
    signals = network.layer_signals(parameters, inputs, signal)
    gradients = network.pull_back(parameters, inputs, signals)
    kernels = compiled(network, parameters)
    assert_close(kernels.gradients(x, signal), gradients)
    assert_close(kernels.mean_gradients(x, signal), network.pull_back_mean(parameters, inputs, signals))
    assert_close(kernels.step_trace_variances(x, signal), network.step_trace_variances(parameters, inputs, signals))
    found, expected = batch_moments(*kernels.moments(x, signal)), reduce_chunk(gradients)
    for name in ("means", "squared_deviations", "trace_variances", "nonfinite", "zeros"):
        assert_close(getattr(found, name), getattr(expected, name))


@networks
@populations
def test_outputs_and_their_derivatives_are_those_of_torch(network: Network, batches: int | None) -> None:
    parameters, x, _ = problem(network, batches)
    observation = x[:, :, 0].requires_grad_()
    expected = network.function(parameters)(observation, 0)[-1]
    kernels = compiled(network, parameters)
    mean, slope = kernels.step(observation, derivative=True)
    alone, nothing = kernels.step(observation, derivative=False)
    assert nothing is None
    assert slope is not None
    assert torch.equal(mean, alone)
    assert_close(mean, expected.detach())
    for action in range(network.sizes[-1]):
        (row,) = torch.autograd.grad(expected[..., action].sum(), observation, retain_graph=True)
        assert_close(slope[:, :, action], row)


@networks
def test_single_precision_is_off_by_rounding(network: Network) -> None:
    parameters, x, signal = (each.float() for each in problem(network, None))
    inputs = layer_inputs(network, parameters.double(), x.double())
    expected = network.pull_back(
        parameters, inputs, network.layer_signals(parameters.double(), inputs, signal.double())
    )
    found = compiled(network, parameters).gradients(x, signal)
    assert found.dtype == torch.float32
    assert (found - expected).abs().max() <= 2e-6 * expected.abs().max()


def test_threads_change_no_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    network = NETWORKS[0]
    parameters, x, signal = (each.float() for each in problem(network, None))
    monkeypatch.setattr(engines, "ROWS_OF_A_THREAD", 4)
    found: list[list[Tensor]] = []
    before = torch.get_num_threads()
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        kernels = compiled(network, parameters)
        mean, slope = kernels.step(x[:, :, 0], derivative=True)
        assert slope is not None
        found.append([mean, slope, *kernels.moments(x, signal), kernels.step_trace_variances(x, signal)])
    torch.set_num_threads(before)
    for others in found[1:]:
        assert all(torch.equal(one, other) for one, other in zip(found[0], others, strict=True))


def test_threads_that_wait_are_a_processs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork has none of its parent's: it would wait for them for ever."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    done = multiprocessing.get_context("fork").Queue()

    def part(some: slice) -> None:
        time.sleep(0.1)  # or one thread would do both, and a fork start the other
        done.put((some.start, some.stop))

    def share_out() -> None:
        in_threads(4, part)

    share_out()
    child = multiprocessing.get_context("fork").Process(target=share_out)
    child.start()
    child.join(60)
    hung = child.exitcode is None
    child.kill()
    assert not hung
    assert sorted(done.get(timeout=10) for _ in range(4)) == [(0, 2), (0, 2), (2, 4), (2, 4)]


def test_what_a_thread_raises_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)

    def part(some: slice) -> None:
        if some.start:
            raise FloatingPointError

    with pytest.raises(FloatingPointError):
        in_threads(4, part)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_not_finite_is_so_where_it_is_in_torch(dtype: torch.dtype) -> None:
    network = NETWORKS[3]
    parameters, x, signal = (each.to(dtype) for each in problem(network, None))
    signal[0, 0, 1] = 0.0
    signal[0, 1] = 0.0
    x[0, 2, 3, 0], signal[1, 0, 0, 1], x[2, 1, 5, 1] = torch.nan, torch.inf, torch.inf
    inputs = layer_inputs(network, parameters, x)
    expected = network.pull_back(parameters, inputs, network.layer_signals(parameters, inputs, signal))
    kernels = compiled(network, parameters)
    found = kernels.gradients(x, signal)
    assert torch.equal(found.isfinite(), expected.isfinite())
    *_, nonfinite, zeros = kernels.moments(x, signal)
    assert nonfinite.tolist() == (~expected.isfinite().all(-1)).sum(1).tolist()
    assert nonfinite.sum() > 0
    assert zeros.tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    "name", sorted(EDGES.keys() - {"explosion"})
)  # where two ways of rounding have nothing in common
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_backpropagation_at_edges(name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where derivatives are infinite or none, the signal is that of a graph through torch's network."""
    environment = EDGES[name]
    policy = make_policy(environment, "mlp", (5, 3))
    parameters = -0.2 + 0.3 * randn(policy.parameter_count, seed=1)
    simulator = Simulator(environment, policy, parameters, 0.5)
    draws = noise(environment, batches=2, samples=20, dtype=dtype).rollout
    trajectories = simulator.rollout(draws, differentiable=True)
    expected = trajectories.action_gradient(trajectories.returns)
    tolerance = 1e-2 if dtype == torch.float32 else 1e-9  # steep slopes amplify rounding
    for most in (0, 10**9):
        monkeypatch.setattr(adjoint, "MOST_DERIVATIVES", most)
        found = backpropagate(simulator, draws)[1]
        finite = expected.isfinite()
        assert torch.equal(found.isfinite(), finite)
        torch.testing.assert_close(found[finite], expected[finite], rtol=tolerance, atol=tolerance)


@populations
def test_episodes_that_end_early(batches: int | None) -> None:
    """There is no signal after an end, in whatever way it is pulled back."""
    environment = Fall(horizon=6, initial_mean=0.5)
    policy = make_policy(environment, "mlp", (4, 3))
    shape = (policy.parameter_count,) if batches is None else (batches, policy.parameter_count)
    one = Simulator(environment, policy, 0.3 * randn(*shape, seed=1), 0.4)
    draws = noise(environment, batches=3, samples=5).rollout
    found, expected = ((each, linearise(each, draws)) for each in (one, by_torch(one)))
    (_, (trajectories, parts)), (_, (others, other_parts)) = found, expected
    assert not trajectories.active.all()  # type: ignore[union-attr]
    assert not trajectories.hidden
    assert others.hidden
    for part, other in zip(parts, other_parts, strict=True):
        assert_close(part.pathwise(), other.pathwise())
    signal = randn(3, 5, 6, 1, seed=6)
    for reduce in (pullback.mean_gradients, pullback.trace_variances, pullback.step_trace_variances):
        assert_close(reduce(trajectories, signal), reduce(others, signal))
    assert_close(*(torch.cat(list(pullback.per_trajectory_gradients(each, signal))) for each in (trajectories, others)))


def test_what_a_policy_is_decides() -> None:
    network = Network((3, 4, 1))
    parameters = torch.zeros(network.parameter_count)
    assert engine(network, parameters)
    for other in (TorchNetwork((3, 4, 1)), OpenLoop(7, 3), Network((3, 7), bias=False)):
        assert engine(other, torch.zeros(other.parameter_count)) is None
    assert engine(network, parameters.half()) is None
    assert engine(network, parameters.to("meta")) is None


def test_a_graph_by_the_parameters_is_left_to_torch() -> None:
    """References differentiate the whole rollout."""
    environment = EDGES["atan2"]
    policy = make_policy(environment, "mlp", (5, 3))
    simulator = Simulator(environment, policy, 0.3 * randn(policy.parameter_count, seed=1).requires_grad_(), 0.5)
    draws = noise(environment, batches=2, samples=4).rollout
    returns = simulator.rollout(draws, differentiable=True).returns
    plain = by_torch(replace(simulator, parameters=simulator.parameters.detach().requires_grad_()))
    (found,) = torch.autograd.grad(returns.sum(), simulator.parameters)
    (expected,) = torch.autograd.grad(plain.rollout(draws, differentiable=True).returns.sum(), plain.parameters)
    assert torch.equal(found, expected)


def test_copies_of_the_sources_share_what_is_compiled() -> None:
    """It lies in the folder that is named after what they say, and not by the place that they lie in."""
    folder = engines.cache_folder()
    assert folder is not None
    kernels = engines.load(torch.float64)
    for kernel in (kernels.transpose, kernels.policy_step, kernels.pull, kernels.moments):
        assert kernel._cache.cache_path == str(folder)
    assert len(list(folder.glob("network.*.nbi"))) == 4


def test_the_folder_of_the_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's cache; or the temporary folder, if it is this user's alone; or none."""
    find = engines.cache_folder.__wrapped__
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    first = find()
    assert first is not None
    assert first.parent == tmp_path / "cache" / "scorepath"
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))  # nothing can be made in it, as on a read-only disk
    second = find()
    assert second is not None
    assert second.is_relative_to(tmp_path / "tmp")
    assert second.name == first.name
    second.parent.chmod(0o777)  # somebody else might put something there
    assert find() is None
