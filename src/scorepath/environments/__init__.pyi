"""The classes, for editors and type checkers; `tests/unit/test_face.py` holds them against the files."""

from scorepath.environments.angle_doubling import AngleDoubling as AngleDoubling
from scorepath.environments.ball_with_wall import BallWithWall as BallWithWall
from scorepath.environments.bouncing_ball import BouncingBall as BouncingBall
from scorepath.environments.bump import Bump as Bump
from scorepath.environments.cartpole import CartPole as CartPole
from scorepath.environments.chain import Chain as Chain
from scorepath.environments.cosine import Cosine as Cosine
from scorepath.environments.coulomb_slide import CoulombSlide as CoulombSlide
from scorepath.environments.double_pendulum import DoublePendulum as DoublePendulum
from scorepath.environments.fourier_field import FourierField as FourierField
from scorepath.environments.grid import Grid as Grid
from scorepath.environments.gymnasium import Gymnasium as Gymnasium
from scorepath.environments.hopper import Hopper as Hopper
from scorepath.environments.lqr import LQR as LQR
from scorepath.environments.mujoco import MuJoCo as MuJoCo
from scorepath.environments.pendulum import Pendulum as Pendulum
from scorepath.environments.quadratic import Quadratic as Quadratic
from scorepath.environments.random_walk_call import RandomWalkCall as RandomWalkCall
from scorepath.environments.random_walk_digital import RandomWalkDigital as RandomWalkDigital
from scorepath.environments.relu import Relu as Relu
from scorepath.environments.ripple import Ripple as Ripple
from scorepath.environments.soft_step import SoftStep as SoftStep
from scorepath.environments.step import Step as Step
from scorepath.environments.stiff_push import StiffPush as StiffPush
from scorepath.environments.tanh_ridge import TanhRidge as TanhRidge
from scorepath.environments.uniform_support import UniformSupport as UniformSupport
