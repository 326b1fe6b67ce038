"""The classes, for editors and type checkers; `tests/unit/test_face.py` holds them against the files."""

from scorepath.estimators.all_action import AllAction as AllAction
from scorepath.estimators.alpha_order import AlphaOrder as AlphaOrder
from scorepath.estimators.antithetic import Antithetic as Antithetic
from scorepath.estimators.boundary_corrected import BoundaryCorrected as BoundaryCorrected
from scorepath.estimators.categorical_measure_valued import CategoricalMeasureValued as CategoricalMeasureValued
from scorepath.estimators.central_differences import CentralDifferences as CentralDifferences
from scorepath.estimators.clipped_pathwise import ClippedPathwise as ClippedPathwise
from scorepath.estimators.deterministic_pathwise import DeterministicPathwise as DeterministicPathwise
from scorepath.estimators.deterministic_policy_gradient import (
    DeterministicPolicyGradient as DeterministicPolicyGradient,
)
from scorepath.estimators.discontinuity_switch import DiscontinuitySwitch as DiscontinuitySwitch
from scorepath.estimators.evolution_strategies import EvolutionStrategies as EvolutionStrategies
from scorepath.estimators.generalised_advantage import GeneralisedAdvantage as GeneralisedAdvantage
from scorepath.estimators.gumbel_softmax import GumbelSoftmax as GumbelSoftmax
from scorepath.estimators.inverse_variance import InverseVariance as InverseVariance
from scorepath.estimators.leave_one_out import LeaveOneOut as LeaveOneOut
from scorepath.estimators.measure_valued import MeasureValued as MeasureValued
from scorepath.estimators.optimal_constant import OptimalConstant as OptimalConstant
from scorepath.estimators.pathwise import Pathwise as Pathwise
from scorepath.estimators.per_step_inverse_variance import PerStepInverseVariance as PerStepInverseVariance
from scorepath.estimators.pgpe import PGPE as PGPE
from scorepath.estimators.quasi_monte_carlo import QuasiMonteCarlo as QuasiMonteCarlo
from scorepath.estimators.reinforce import Reinforce as Reinforce
from scorepath.estimators.reward_to_go import RewardToGo as RewardToGo
from scorepath.estimators.short_horizon_value import ShortHorizonValue as ShortHorizonValue
from scorepath.estimators.smoothed_pathwise import SmoothedPathwise as SmoothedPathwise
from scorepath.estimators.spsa import SPSA as SPSA
from scorepath.estimators.state_value_baseline import StateValueBaseline as StateValueBaseline
from scorepath.estimators.straight_through import StraightThrough as StraightThrough
from scorepath.estimators.total_propagation import TotalPropagation as TotalPropagation
from scorepath.estimators.total_propagation_state import TotalPropagationState as TotalPropagationState
from scorepath.estimators.truncated_pathwise import TruncatedPathwise as TruncatedPathwise
from scorepath.estimators.windowed_pathwise import WindowedPathwise as WindowedPathwise
from scorepath.estimators.zero_noise_baseline import ZeroNoiseBaseline as ZeroNoiseBaseline
