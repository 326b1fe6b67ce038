"""A ball that falls on a plane, and bounces or lands: one decision, in which MuJoCo's contact sets in."""

from dataclasses import dataclass

from scorepath.environments.mujoco import MuJoCo


@dataclass(frozen=True, kw_only=True)
class FallingBall(MuJoCo):
    """The motor pushes with 10 N times the action for 0.16 s; the return is the height at the end, in m.

    Gravity takes 0.14 s to the plane, so that more or less push means an earlier or a later contact.
    """

    model: str = "falling_ball.xml"
    data_files = ("falling_ball.xml",)
    default_policy = "open_loop"

    horizon: int = 1
    frame_skip: int = 80
    ends: bool = False

    def observe(self, state):
        return state

    def initial_state(self, noise):
        return self.start_from(0 * noise)

    def reward(self, state, action, next_state):
        return self.parts(next_state).qpos[..., 0]
