"""What the report's page says, row by row, computed from the tables."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from scorepath.figures.identity import SIDES, projections
from scorepath.figures.wording import checkpoint_name, in_order, label
from scorepath.reporting.answer import CRITERIA
from scorepath.reporting.summaries import OPEN, RIVALS
from scorepath.store.tables import UNCERTIFIED, Tables
from scorepath.study.cells import Plan

JUMPS = "the return jumps"
CRITERION_WORDS = CRITERIA | {
    "equal_compute_saturated": "equal seconds, many batches at a time",
    "training_equal_steps": "training, at equal environment steps",
}
AGREES = "agrees with "
NUMBER = re.compile(r"\b\d+(?:\.\d+)?(?:e[+-]?\d+)?")
MISSED = 0.1  # share of the exact gradient from which on a pathwise shortfall is listed as a boundary term


def declared_facts(plan: Plan | None) -> dict[str, list[str]]:
    """What the plan declares about each environment, in a few words."""
    facts: dict[str, list[str]] = {}
    for cell in plan.cells if plan else ():
        own = facts.setdefault(cell.environment, [])
        if not own:
            own.append("one step" if cell.horizon == 1 else f"{cell.horizon} steps")
        if cell.method == "pathwise" and cell.sigma > 0 and cell.stage == "gradients":
            if cell.status == "not_applicable" and cell.reason not in own:
                own.append(cell.reason)
            if cell.status == "run" and not cell.unbiased and JUMPS not in own:
                own.append(JUMPS)
    return facts


def identity_rows(tables: Tables) -> list[dict[str, Any]]:
    """Both sides of the identity beside the exact gradient, at the start of training, per environment and level."""
    statistics = projections(tables)
    sides = {tables.called(method): method for method in SIDES}
    references = tables.read("references")
    known = {(row["environment"], row["sigma"], row["checkpoint"]): row for row in references.to_dict("records")}
    rows = []
    for key, group in statistics.groupby(["environment", "sigma", "checkpoint"], sort=False):
        reference = known.get(key)
        if reference is None or reference["reference_class"] == UNCERTIFIED:
            continue
        row: dict[str, Any] = {"environment": key[0], "sigma": key[1], "reference": reference}
        row |= {sides[side["estimator"]]: side for side in group.to_dict("records")}
        rows.append(row)
    return rows


def boundary_terms(tables: Tables, facts: Mapping[str, list[str]]) -> list[dict[str, Any]]:
    """Rows of the identity where pathwise misses a tenth or more of the exact gradient, its interval considered.

    Only where the return is declared to jump, if anything is declared: elsewhere a miss is noise, not a boundary term.
    """
    found = []
    for row in identity_rows(tables):
        side, norm = row.get("pathwise"), row["reference"]["gradient_norm"]
        if side is None or not norm > 0 or JUMPS not in facts.get(row["environment"], [JUMPS]):
            continue
        missing = {end: norm - side[f"projection{end}"] for end in ("", "_low", "_high")}
        if missing["_high"] > MISSED * norm or missing["_low"] < -MISSED * norm:
            shares = {
                f"bias{end}": math.sqrt(max(0.0, side[f"squared_bias{end}"])) / norm for end in ("", "_low", "_high")
            }
            found.append(
                row
                | {"missing": missing[""], "missing_low": missing["_high"], "missing_high": missing["_low"]}
                | shares
            )
    return found


def health_rows(tables: Tables) -> list[dict[str, Any]]:
    """Per environment, the worst of what can make an estimate of a variance untrustworthy."""
    statistics = tables.read("gradient_statistics")
    rows = []
    for name in in_order(statistics, "environment"):
        own = statistics[statistics["environment"] == name]
        row: dict[str, Any] = {
            "environment": name, "of": len(own), "not_measurable": int((own["not_measurable"] != "").sum()),
            "doubled": int((own["dtype"] == "float64").sum()),
        }  # fmt: skip
        for column in ("tail_share", "nonfinite_fraction", "zero_fraction", "float32_relative_error"):
            values = own[column].dropna()
            row[column] = None
            if len(values):
                worst = own.loc[values.idxmax()].to_dict()
                row[column] = {key: worst[key] for key in ("estimator", "sigma", "checkpoint")} | {
                    "value": values.max()
                }
        rows.append(row)
    return rows


def training_rows(tables: Tables) -> list[dict[str, Any]]:
    """Verdicts of training against the best score-function estimator, both statistics side by side.

    Beside them that against the best derivative-free one, as far as others than score functions are trained.
    """
    verdicts = tables.read_verdicts()
    wider = verdicts[
        (verdicts["comparison"] == "pathwise_vs_best_derivative_free") & (verdicts["criterion"] == "training")
    ]
    wider = wider[wider["statistic"] == "score_difference"].set_index(["environment", "sigma"])
    against_all = {place: row["verdict"] for place, row in wider.to_dict("index").items() if row["rival"]}
    verdicts = verdicts[verdicts["comparison"] == "pathwise_vs_best_score_function"]
    steps = verdicts[(verdicts["criterion"] == "training_equal_steps") & (verdicts["statistic"] == "score_difference")]
    at_equal_steps = steps.set_index(["environment", "sigma"])["verdict"].to_dict()
    verdicts = verdicts[verdicts["criterion"] == "training"]
    edge = tables.read("training")
    edge = edge[edge["at_grid_edge"]].drop_duplicates(["environment", "sigma", "estimator"])
    rows = []
    for (name, sigma), group in verdicts.groupby(["environment", "sigma"], sort=False):
        at_edge = edge[(edge["environment"] == name) & (edge["sigma"] == sigma)]["estimator"].tolist()
        row: dict[str, Any] = {"environment": name, "sigma": sigma, "edge": at_edge, "statistics": {}}
        row["equal_steps"] = at_equal_steps.get((name, sigma), "")
        row["derivative_free"] = against_all.get((name, sigma), "")
        for verdict in group.to_dict("records"):
            row["statistics"][verdict["statistic"]] = verdict
            row.setdefault("rival", verdict["rival"])
            row.setdefault("reason", verdict["reason"])
        main = row["statistics"].get("score_difference") or next(iter(row["statistics"].values()))
        row["verdict"] = main["verdict"]
        rows.append(row)
    return rows


def tallies(tables: Tables) -> list[dict[str, Any]]:
    """Counts of verdicts by comparison and criterion."""
    verdicts = tables.read_verdicts()
    rows = []
    for (comparison, criterion, statistic), group in verdicts.groupby(
        ["comparison", "criterion", "statistic"], sort=False
    ):
        counts = group["verdict"].value_counts()
        beyond = group.loc[group["practical"] == "beyond", "verdict"].value_counts()
        row = {"comparison": comparison, "criterion": CRITERION_WORDS.get(criterion, criterion), "statistic": statistic}
        row |= {word: int(counts.get(word, 0)) for word in ("pathwise", *OPEN, "not_applicable")}
        row["rival"] = sum(int(counts.get(word, 0)) for word in RIVALS)
        row["beyond"] = {
            "pathwise": int(beyond.get("pathwise", 0)), "rival": sum(int(beyond.get(word, 0)) for word in RIVALS)
        }  # fmt: skip
        rows.append(row)
    return rows


def estimator_rows(tables: Tables, plan: Plan | None) -> list[dict[str, Any]]:
    """Every estimator with its family, where it runs and what is declared about its bias and its cost."""
    cells = tables.read("cells")
    cells = cells[cells["stage"] == "gradients"]
    planned = [cell for cell in plan.cells if cell.stage == "gradients"] if plan else []
    rows = []
    for name in in_order(cells, "estimator"):
        own = cells[cells["estimator"] == name]
        facts = [cell for cell in planned if cell.estimator == name]
        ran = [cell for cell in facts if cell.status == "run" and cell.sigma > 0]
        biased = list(dict.fromkeys(cell.environment for cell in ran if not cell.unbiased))
        unbiased = list(dict.fromkeys(cell.environment for cell in ran if cell.unbiased))
        ratios = sorted({round(cell.steps / cell.horizon, 3) for cell in ran})
        rows.append(
            {
                "name": name,
                "family": facts[0].family.replace("_", " ") if facts else "",
                "run": int((own["status"] == "run").sum()),
                "total": len(own),
                "bias": "" if not ran else "unbiased" if not biased else "biased" if not unbiased else
                f"biased on {', '.join(map(label, biased))}",
                "steps": ratios,
            }
        )  # fmt: skip
    return rows


def reference_rows(tables: Tables) -> list[dict[str, Any]]:
    """Per environment and class, the references' largest relative error and how they were certified."""
    references = tables.read("references")
    rows = []
    for (name, kind), own in references.groupby(["environment", "reference_class"], sort=False):
        relative = own["standard_error"] / own["gradient_norm"].where(own["gradient_norm"] > 0)
        finite = relative.replace([np.inf, -np.inf], np.nan).dropna()
        rows.append(
            {
                "environment": name,
                "kind": str(kind).replace("_", " "),
                "count": len(own),
                "error": float(finite.max()) if len(finite) else None,
                "samples": float(own["samples"].max()),
                "certified": _certificates(own["certified_by"]),
                "smallest": float(own["gradient_norm"].min()),
                "largest": float(own["gradient_norm"].max()),
                "checkpoints": ", ".join(
                    checkpoint_name(value) for value in sorted(own["checkpoint"].dropna().unique())
                ),
            }
        )
    return rows


def judged_by(tables: Tables) -> str:
    """What the study's gradients are held against, as the end of a sentence."""
    references = tables.read("references")
    simulated = references["reference_class"].str.endswith("monte_carlo")
    every, monte_carlo = set(references["environment"]), set(references.loc[simulated, "environment"])
    if not every:
        return ""
    if not monte_carlo:
        return ", judged against exact gradients"
    text = ", judged against "
    if exact := every - monte_carlo:
        text += f"exact gradients in {len(exact)} of {len(every)} environments and, in the others, against "
    text += "Monte Carlo estimates"
    open_ = int((references["reference_class"] == UNCERTIFIED).sum())
    return text + (f", {open_} of {int(simulated.sum())} of them not certified" if open_ else ", all certified")


def _certificates(texts: Iterable[str]) -> str:
    """Certificates in short: what agrees with any of the references, and each reason against some, with its numbers.

    Of a quadrature's errors it is the largest. The table of references has them one by one.

    >>> agreed = [f"agrees with {name} (-3 % of the limit)" for name in ("branches", "score function and branches")]
    >>> _certificates([*agreed, *(f"a quadrature, its error at most some {error}" for error in ("2e-10", "9e-11"))])
    'agrees with branches, score function; a quadrature, its error at most some 2e-10'
    >>> _certificates(f"not certified: its error rests on {n} of 64 batches; agrees with branches" for n in (7.5, 1.2))
    'not certified: its error rests on 1.2 to 7.5 of 64 batches (2)'
    """
    witnesses: dict[str, None] = {}
    others: dict[tuple[str, ...], list[list[str]]] = {}  # by the words between numbers
    for text in filter(None, texts):
        first = re.sub(r" \((-?\d+ % of the limit|not finite)\)", "", text).split("; ")[0]
        if first.startswith(AGREES):
            witnesses |= dict.fromkeys(first.removeprefix(AGREES).split(" and "))
        else:
            others.setdefault(tuple(NUMBER.split(first)), []).append(NUMBER.findall(first))
    parts = [AGREES + ", ".join(witnesses)] if witnesses else []
    for words, numbers in others.items():
        count = f" ({len(numbers)})" if words[0].startswith("not certified") and len(numbers) > 1 else ""
        ends = [(min(each, key=float), max(each, key=float)) for each in zip(*numbers, strict=True)]
        one = any("at most" in word for word in words)
        spans = [most if one or least == most else f"{least} to {most}" for least, most in ends]
        parts.append("".join(word + span for word, span in zip(words, [*spans, count], strict=True)))
    return "; ".join(parts)
