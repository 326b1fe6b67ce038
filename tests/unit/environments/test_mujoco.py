"""MuJoCo: Gymnasium's tasks number for number, a pure step, and Jacobians of the smooth pieces."""

from __future__ import annotations

import pickle
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

pytest.importorskip("mujoco", reason="the extra `mujoco` is not installed")

from scorepath import registry
from scorepath.environments import _mujoco
from scorepath.environments._mujoco_tasks import listed
from scorepath.environments.mujoco import MuJoCo
from scorepath.study.validation import validate

GYMNASIUM = {
    "inverted_pendulum": "InvertedPendulum-v5",
    "inverted_double_pendulum": "InvertedDoublePendulum-v5",
    "swimmer": "Swimmer-v5",
    "reacher": "Reacher-v5",
    "hopper": "Hopper-v5",
    "half_cheetah": "HalfCheetah-v5",
    "walker": "Walker2d-v5",
    "ant": "Ant-v5",
}
ENDING = {"inverted_pendulum", "inverted_double_pendulum", "hopper", "walker"}
"""Tasks in which random actions end an episode within the test."""
NO_NOISE = torch.zeros(1, 0, dtype=torch.float64)


def visited(environment: MuJoCo, steps: int, rows: int = 8) -> tuple[Tensor, Tensor]:
    """States (rows, state_dim) on the way of random actions, and actions there."""
    generator = torch.Generator().manual_seed(4)
    shape = rows, environment.initial_noise_dim
    state = environment.initial_state(torch.randn(shape, generator=generator, dtype=torch.float64))
    for _ in range(steps + 1):
        before, action = state, 0.5 * torch.randn(rows, environment.action_dim, generator=generator).double()
        state, _ = environment.step(before, action, torch.zeros(rows, 0))
    return before, action


def test_every_task_is_one_of_gymnasiums() -> None:
    assert listed() == sorted(GYMNASIUM)


@pytest.mark.parametrize("task", listed())
def test_a_task_is_gymnasiums_step_by_step(task: str) -> None:
    """Observation, reward and termination, from every state on a way of random actions, ends and new starts included.

    Gymnasium starts its solver from the last solution; what is left of that is the solver's tolerance.
    """
    import gymnasium

    environment = MuJoCo(task=task)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs: Any = gymnasium.make(GYMNASIUM[task], max_episode_steps=-1, disable_env_checker=True).unwrapped
    generator = np.random.default_rng(0)
    observation, _ = theirs.reset(seed=1)
    fresh, ended = True, 0
    for seed in range(110):
        state = environment.start_from(torch.from_numpy(np.concatenate([theirs.data.qpos, theirs.data.qvel]))[None])
        trace = environment._task.trace
        if trace is not None and not fresh:
            traces = torch.from_numpy(np.concatenate(trace(theirs.model, theirs.data)))
            state = torch.cat([state[0, : -len(traces)], traces])[None]
        np.testing.assert_allclose(environment.observe(state)[0], observation, rtol=0, atol=1e-12)
        action = 0.8 * generator.uniform(theirs.action_space.low, theirs.action_space.high)
        state, reward = environment.step(state, torch.from_numpy(action)[None], NO_NOISE)
        observation, expected, fresh, _, _ = theirs.step(action)
        np.testing.assert_allclose(environment.observe(state)[0], observation, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(reward.item(), expected, rtol=1e-10, atol=1e-10)
        going = environment.active(state)
        assert (going is None or bool(going)) == (not fresh)
        if fresh:
            ended += 1
            observation, _ = theirs.reset(seed=seed)
    assert (ended > 0) == (task in ENDING)


@pytest.mark.parametrize("task", ["inverted_pendulum", "swimmer", "reacher", "hopper", "half_cheetah"])
def test_starts_are_gymnasiums_distribution(task: str) -> None:
    """Mean and spread of 1,024 starts: within six standard errors of each other (false alarms: 1e-6 in all)."""
    environment = MuJoCo(task=task)
    import gymnasium

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs: Any = gymnasium.make(GYMNASIUM[task], max_episode_steps=-1, disable_env_checker=True).unwrapped
    theirs.reset(seed=3)
    expected = []
    for _ in range(1024):
        theirs.reset_model()
        expected.append(np.concatenate([theirs.data.qpos, theirs.data.qvel]))
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(1024, environment.initial_noise_dim, generator=generator, dtype=torch.float64)
    found = environment.initial_state(noise)[:, : noise.shape[1]].numpy()
    for values in (lambda each: each, lambda each: (each - np.stack(expected).mean(0)) ** 2):
        ours, other = values(found), values(np.stack(expected))
        error = np.sqrt((ours.var(0) + other.var(0)) / 1024) + 1e-12
        assert (np.abs(ours.mean(0) - other.mean(0)) < 6 * error).all()


@pytest.mark.parametrize("task", ["hopper", "reacher"])
def test_a_step_is_a_pure_function(task: str) -> None:
    """The same bits whatever was simulated before, and in whatever company: no warm start, no time is left."""
    environment = MuJoCo(task=task, ends=False)
    state, action = visited(environment, 20)
    first, reward = environment.step(state, action, NO_NOISE)
    environment.step(state + 0.1, -action, NO_NOISE)
    order = torch.tensor([5, 2, 7])
    again, paid = environment.step(state[order], action[order], NO_NOISE)
    assert torch.equal(again, first[order])
    assert torch.equal(paid, reward[order])
    copied, _ = pickle.loads(pickle.dumps(environment)).step(state, action, NO_NOISE)
    assert torch.equal(copied, first)


@pytest.mark.parametrize(("task", "tolerance"), [("swimmer", 1e-8), ("hopper", 1e-6), ("walker", 1e-6)])
def test_jacobians_hardly_depend_on_the_size_of_the_differences(task: str, tolerance: float) -> None:
    """Of RK4 models: at 1e-6 and at 1e-5 or 1e-7, at three of four states or more (docs/mujoco.md has a table)."""
    environment = MuJoCo(task=task, ends=False)
    state, action = visited(environment, 30)
    engine = environment._engine
    found = [
        np.concatenate(engine.derivatives(state.numpy()[:, : engine.state_dim], action.numpy(), step), -1)
        for step in (1e-6, 1e-5, 1e-7)
    ]
    size = np.abs(found[0]).max((1, 2))
    best = np.minimum(*(np.abs(each - found[0]).max((1, 2)) / size for each in found[1:]))
    assert np.quantile(best, 0.75) < tolerance


def test_across_a_jump_a_derivative_is_that_of_one_side(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = MuJoCo()._engine

    def decide(rows: np.ndarray, controls: np.ndarray) -> np.ndarray:
        """Slope 2 in the control, and a jump just beyond 0."""
        return np.repeat(2 * controls + (controls > 5e-7), engine.state_dim, 1)

    monkeypatch.setattr(engine, "decide", decide)
    _, by_control = engine.derivatives(np.zeros((1, engine.state_dim)), np.zeros((1, 1)))
    np.testing.assert_allclose(by_control, 2.0, rtol=1e-6)


def test_knobs_reach_the_model() -> None:
    environment = MuJoCo(
        task="hopper", time_step=0.004, integrator="Euler", iterations=7, solimp_d0=0.0, solimp_width=0.02,
        solref_time=0.03, frame_skip=3,
    )  # fmt: skip
    model = environment._engine.model
    assert model.opt.timestep == 0.004
    assert (model.opt.integrator, model.opt.iterations) == (0, 7)
    assert np.unique(model.geom_solimp[:, [0, 2]], axis=0).tolist() == [[0.0, 0.02]]
    assert set(model.geom_solref[:, 0]) == {0.03}
    assert environment._engine.seconds == pytest.approx(0.012)


def test_process_noise_pushes_the_velocities() -> None:
    environment = MuJoCo(task="swimmer", process_noise=0.1)
    state, action = visited(MuJoCo(task="swimmer"), 3)
    noise = torch.ones(8, 5, dtype=torch.float64)
    pushed = state.clone()
    pushed[:, 5:] += 0.1
    assert torch.equal(
        environment.step(state, action, noise)[0], MuJoCo(task="swimmer").step(pushed, action, NO_NOISE)[0]
    )


def test_what_diverges_is_nan_and_stays_so() -> None:
    environment = MuJoCo(task="swimmer", time_step=0.3, integrator="Euler")
    state, _ = visited(environment, 0)
    action = torch.full((8, 2), 50.0, dtype=torch.float64)
    rewards = []
    for _ in range(12):
        state, reward = environment.step(state, action, NO_NOISE)
        rewards.append(reward)
    assert rewards[0].isfinite().all()
    assert torch.stack(rewards[-2:]).isnan().all()
    assert not Path("MUJOCO_LOG.TXT").exists()


MOTOR = "<actuator><motor joint='x'/></actuator>"


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ("<mujoco><nonsense/></mujoco>", r"model .*it\.xml cannot be read by MuJoCo: XML Error: .*nonsense"),
        ("<mujoco>", r"model .*it\.xml cannot be read by MuJoCo"),
        ("<mujoco><worldbody/></mujoco>", r"the model it\.xml has no actuator"),
        (
            "<mujoco><worldbody><body mocap='true'/><body><joint name='x' type='slide'/><geom size='.1'/></body>"
            f"</worldbody>{MOTOR}</mujoco>",
            r"the model it\.xml has mocap bodies",
        ),
        (
            "<mujoco><worldbody><body><joint name='x' type='slide' stiffness='1e12' springref='1'/><geom size='.1'/>"
            f"</body></worldbody>{MOTOR}</mujoco>",
            r"the model it\.xml is unstable: .* does not come through 2 steps of 0.002 s; choose a smaller time_step",
        ),
    ],
)
def test_a_model_that_cannot_be_simulated_is_refused_in_a_sentence(xml: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "it.xml"
    file.write_text(xml)
    with pytest.raises(ValueError, match=message) as found:
        MuJoCo(model=str(file))
    assert "\n" not in str(found.value)


def test_a_model_may_be_given_as_text() -> None:
    file = _mujoco.asset("hopper.xml")
    from_file, from_text = MuJoCo(task="hopper", model=str(file)), MuJoCo(task="hopper", model=file.read_text())
    state = from_file.initial_state(torch.zeros(1, from_file.initial_noise_dim, dtype=torch.float64))
    action, nothing = state.new_full((1, 3), 0.1), state.new_zeros(1, 0)
    assert torch.equal(*(each.step(state, action, nothing)[0] for each in (from_file, from_text)))
    with pytest.raises(ValueError, match="model given as text cannot be read by MuJoCo: XML Error"):
        MuJoCo(model="<mujoco><nonsense/></mujoco>")
    with pytest.raises(ValueError, match="the model still has no actuator"):
        MuJoCo(model="<mujoco model='still'><worldbody/></mujoco>")


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"task": "humanoid"}, "task must be one of ant, .*, got 'humanoid'"),
        ({"backend": "mujoco"}, "backend must be one of c, mjx, got 'mujoco'"),
        ({"integrator": "rk4"}, "integrator must be one of Euler, RK4, implicit, implicitfast, got 'rk4'"),
        ({"solimp_d0": 1.0}, r"solimp_d0 must lie in \[0, 1\), got 1.0"),
        ({"time_step": "fast"}, "time_step must be a number, got 'fast'"),
        ({"iterations": 1.5}, "iterations must be a whole number, got 1.5"),
        ({"iterations": True}, "iterations must be a whole number, got True"),
        ({"time_step": 0.0}, "time_step must be positive"),
        ({"model": "nowhere.xml"}, "model nowhere.xml cannot be read by MuJoCo"),
    ],
)
def test_a_wrong_knob_is_named(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MuJoCo(**knobs)


@pytest.mark.parametrize("module", ["mujoco", "gymnasium"])
def test_without_its_extra_the_family_says_how_to_get_it(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And can still be listed with its knobs."""
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(_mujoco, "find_spec", lambda name: None)
    assert "task" in registry.knobs(registry.load(registry.ENVIRONMENTS, "mujoco"))
    with pytest.raises(ValueError, match=r"pip install --editable '\.\[mujoco\]'"):
        MuJoCo()


def test_without_its_extra_the_backend_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(ValueError, match=r"the backend mjx needs MuJoCo XLA: pip install --editable '\.\[mjx\]'"):
        MuJoCo(backend="mjx")


def test_a_study_depends_on_the_text_of_its_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scorepath.study.digests import cell_digest, plan_key
    from scorepath.study.settings import Study

    monkeypatch.chdir(tmp_path)
    config = {
        "noise_levels": [0.1],
        "environments": [{"name": "mine", "family": "mujoco", "task": "hopper", "model": "mine.xml"}],
        "estimators": ["reinforce"],
    }
    tables = [{name: registry.knobs(registry.load(p, name)) for name in names} for p, names in (
        (registry.ENVIRONMENTS, ["mujoco"]), (registry.ESTIMATORS, ["reinforce"]))]  # fmt: skip
    seen = set()
    for text in ("<mujoco/>", "<mujoco />"):
        Path("mine.xml").write_text(text)
        _forget_digests()
        study = Study.from_config(validate(config, *tables))
        seen.add((plan_key(config), cell_digest(study, "gradients", "mine", "reinforce", 0.1)))
    assert len({key for key, _ in seen}) == len({digest for _, digest in seen}) == 2


def _forget_digests() -> None:
    from scorepath.study import digests

    digests._file_digest.cache_clear()
