"""Does an environment or an estimator do what the study relies on? Checks, and what they find in plain words.

`quick_findings` runs those that take about a second on one instance, `examine_class` all of them on all that a class
lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING
from typing import Any

from scorepath import registry
from scorepath.conformance import environments, estimators, expectations
from scorepath.conformance.findings import examine, faults
from scorepath.conformance.problems import PROBLEMS, Problem
from scorepath.environments.base import Environment
from scorepath.estimators.base import Estimator


def check_environment(environment: Environment) -> list[str]:
    """What is wrong with an environment; empty if nothing is."""
    return _once(examine(environment, environments.CHECKS))


def check_estimator(estimator: Estimator, problems: Sequence[Problem] = PROBLEMS) -> list[str]:
    """What is wrong with an estimator, apart from its expectation; empty if nothing is."""
    return _once(examine(estimator, estimators.quick_checks(problems)))


def check_expectations(estimator: Estimator, problems: Sequence[Problem] = PROBLEMS) -> list[str]:
    """Where the mean of many estimates is not what the estimator declares."""
    return _once(examine(estimator, expectations.statistical_checks(problems)))


def quick_findings(instance: Environment | Estimator) -> list[str]:
    """What is wrong with an instance, as far as about a second tells."""
    return check_environment(instance) if isinstance(instance, Environment) else check_estimator(instance)


def examine_class(kind: type[Any], knobs: Mapping[str, Any] | None = None) -> dict[str, list[str]]:
    """Every check of a class, the statistical ones included: what it makes sure of, and what it found.

    The instance with these knobs is examined, or else all that the class lists: the default one, unless a field has no
    default, and `variants`.
    """
    listed = kind.variants if knobs is None else (knobs,)
    required = [name for name, default in registry.knobs(kind).items() if default is MISSING]
    if knobs is not None:
        pass
    elif not required:
        listed = ({}, *listed)
    elif not listed:
        advice = "give it a default, or list a set of fields in `variants`, so that there is an instance to check"
        return {"There is an instance to check.": [f"{required[0]} has no default: {advice}"]}
    results: dict[str, list[str]] = {}
    for chosen in listed:
        label = f"with {', '.join(f'{name} = {value!r}' for name, value in chosen.items())}: " if chosen else ""
        try:
            instance = kind(**chosen)
        except (TypeError, ValueError) as error:
            results.setdefault("Instances can be made.", []).append(f"{label}{error}")
            continue
        for summary, found in _thorough(instance):
            so_far = results.setdefault(summary, [])
            # a variant repeats what is wrong with the default
            so_far.extend(type(finding)(f"{label}{finding}") for finding in found if finding not in so_far)
    return results


def _thorough(instance: Environment | Estimator) -> Iterator[tuple[str, list[str]]]:
    if isinstance(instance, Environment):
        yield from examine(instance, environments.CHECKS)
    else:
        yield from examine(instance, (*estimators.quick_checks(), *expectations.statistical_checks()))


def _once(results: Iterator[tuple[str, list[str]]]) -> list[str]:
    return list(dict.fromkeys(finding for _, found in results for finding in faults(found)))
