"""The public names, for editors and type checkers; `tests/unit/test_face.py` holds them against `_face.py`."""

from scorepath import environments as environments
from scorepath import estimators as estimators
from scorepath.adjoint import backpropagate as backpropagate
from scorepath.advice import Advice as Advice
from scorepath.advisor import advise as advise
from scorepath.environments._jacobians import StepJacobians as StepJacobians
from scorepath.environments._jacobians import jacobians_by_differences as jacobians_by_differences
from scorepath.environments._squashed import squashed as squashed
from scorepath.environments._tabular import TabularEnvironment as TabularEnvironment
from scorepath.environments.base import Environment as Environment
from scorepath.environments.base import SequentialEnvironment as SequentialEnvironment
from scorepath.environments.base import make_policy as make_policy
from scorepath.estimators.base import ActionSignalEstimator as ActionSignalEstimator
from scorepath.estimators.base import Estimator as Estimator
from scorepath.estimators.base import ScoreFunctionEstimator as ScoreFunctionEstimator
from scorepath.inquiry import Comparison as Comparison
from scorepath.inquiry import Measurement as Measurement
from scorepath.inquiry import compare as compare
from scorepath.inquiry import measure as measure
from scorepath.modules import ModulePolicy as ModulePolicy
from scorepath.noise import Noise as Noise
from scorepath.noise import Stream as Stream
from scorepath.policies import LearnedStd as LearnedStd
from scorepath.policies import Network as Network
from scorepath.policies import OpenLoop as OpenLoop
from scorepath.policies import Policy as Policy
from scorepath.pullback import mean_gradients as mean_gradients
from scorepath.pullback import per_trajectory_gradients as per_trajectory_gradients
from scorepath.references.exact import exact_reference as exact_reference
from scorepath.references.monte_carlo import certified_reference as certified_reference
from scorepath.references.variances import exact_variance as exact_variance
from scorepath.rollout import Simulator as Simulator
from scorepath.rollout import Trajectories as Trajectories
from scorepath.training import Trainer as Trainer

__version__: str
