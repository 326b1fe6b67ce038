"""The answer, computed from the tables: who wins, where, why as far as it was measured, and where the winner changes.

`answer_sentences` is what `scorepath answer` prints; every section of the report takes what is its own from `evidence`,
and `decisions` is the report's decision table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scorepath.figures.wording import checkpoint_name, in_order, label
from scorepath.provenance import findings
from scorepath.reporting.crossings import curves_sentence, exact_crossings
from scorepath.reporting.numbers import readable
from scorepath.reporting.rule import rule_lines
from scorepath.reporting.summaries import OPEN, counted, many, summary_sentences
from scorepath.store.paths import sigma_token
from scorepath.store.tables import Tables

BEST = "pathwise_vs_best_score_function"
CRITERIA = {
    "equal_samples": "equal samples",
    "equal_steps": "equal environment steps",
    "equal_compute": "equal seconds",
    "training": "training",
}
NOTABLE_BIAS = 0.1  # of the gradient's length: from here on a bias is mentioned
SIDES = ("pathwise", "score_function")
CODES = {"undecided": "?", "equivalent": "=", "neither_usable": "×", "no_signal": "0", "not_measurable": "~"}
"""Their marks in the decision table, the first of those found."""
CIRCUMSTANCES = {"bias": "where it is biased", "variance": "where its variance is the larger"}
"""By the kind of reason, as a part of a sentence about pathwise."""


@dataclass(frozen=True)
class Mark:
    """One environment at one noise level by one criterion, over all checkpoints."""

    sigma: str
    code: str
    """P, S, mixed (checkpoints are decided differently), one of `CODES`, or n/a."""
    words: str


@dataclass(frozen=True)
class Reason:
    """What was measured against pathwise in an environment, where it is worst."""

    kind: str
    """bias or variance."""
    size: float
    """The bias by the gradient's length; the variance by its rival's, at the least that both intervals allow."""

    @property
    def words(self) -> str:
        if self.kind == "bias":
            return f"up to {100 * self.size:.3g} % of the gradient"
        return f"at least {_round(self.size)} times its rival’s"

    def __str__(self) -> str:
        return f"{self.kind} {self.words}"


@dataclass(frozen=True)
class Boundary:
    """Two neighbouring decided noise levels with different winners."""

    low: float
    high: float
    winner_low: str
    winner_high: str

    def __str__(self) -> str:
        first, second = ("P" if side == "pathwise" else "S" for side in (self.winner_low, self.winner_high))
        return f"{sigma_token(self.low)} {first} → {sigma_token(self.high)} {second}"


@dataclass(frozen=True)
class Decision:
    """One environment's row of the decision table."""

    environment: str
    regime: tuple[str, ...]
    marks: dict[str, tuple[Mark, ...]]
    boundary: tuple[str, ...]


def compared(tables: Tables, comparison: str = BEST) -> pd.DataFrame:
    """One row per verdict of a comparison; of training's two statistics only the difference of means counts."""
    verdicts = tables.read_verdicts()
    verdicts = verdicts[(verdicts["comparison"] == comparison) & (verdicts["verdict"] != "")]
    return verdicts[verdicts["statistic"] != "probability_of_improvement"]


def answer_sentences(tables: Tables) -> list[str]:
    """The rule, then some paragraphs; one that says so, and why, where nothing has been compared; and what the data
    refute."""
    told = evidence(tables)
    rule = [] if "nothing" in told else rule_lines(tables)
    lines = [f"{line.where}: {line.use} ({line.evidence})." for line in rule]
    return [readable(line) for line in (*lines, *told.values(), *findings.sentences(tables.folder))]


def evidence(tables: Tables) -> dict[str, str]:
    """What the verdicts say, a paragraph for each matter, by which the report finds the one that it wants.

    Where nothing is compared the only one is `nothing`, which says why.
    """
    verdicts = compared(tables)
    samples = verdicts[(verdicts["criterion"] == "equal_samples") & (verdicts["verdict"] != "not_applicable")]
    if samples.empty:
        refuted = tables.read("references")["finding"]
        return {"nothing": _nothing(verdicts[verdicts["criterion"] == "equal_samples"], refuted)}
    texts = {
        "who": _who(verdicts, samples),
        "where": _where(samples, measured_reasons(tables), with_policies(tables, samples["environment"])),
        "changes": _flips(samples),
        "curves": curves_sentence(tables, _won(samples)),
        **summary_sentences(tables),
    }
    return {matter: text for matter, text in texts.items() if text}


def _nothing(verdicts: pd.DataFrame, refuted: pd.Series) -> str:
    """Why there is no answer: from verdicts none of which applies. What the data refute is said after it."""
    if verdicts.empty:
        return "No comparison has been computed yet: the tables hold no applicable verdict at equal samples."
    reasons_left = verdicts[(verdicts["reason"] != "") & ~verdicts["reason"].isin(refuted)]
    places = reasons_left.groupby("reason", sort=False)["environment"].nunique()
    every = verdicts["environment"].nunique()
    reasons = [
        str(reason) if count == every else f"{reason} (in {many(count, 'environment')})"
        for reason, count in places.items()
    ]
    why = f": {'; '.join(reasons)}" if reasons else ""
    return f"This study makes no comparison of pathwise with a score-function estimator{why}."


def _who(verdicts: pd.DataFrame, samples: pd.DataFrame) -> str:
    wins, losses, open_ = counted(samples)
    places = samples["environment"].nunique()
    if wins + losses == 0:
        text = (
            f"Averaging the same number of samples, none of the {len(samples)} comparisons of pathwise with the best"
            f" score-function estimator, in {many(places, 'environment')}, is decided ({open_})"
        )
    else:
        text = (
            "Averaging the same number of samples, the pathwise gradient has the smaller mean squared error than the"
            f" best score-function estimator in {wins} of {wins + losses} decided comparisons (environment × noise"
            f" level × checkpoint; {many(places, 'environment')}, {open_})"
        )
    others = []
    for criterion, words in (("equal_compute", "at equal measured seconds"), ("training", "in training")):
        rows = verdicts[(verdicts["criterion"] == criterion) & (verdicts["verdict"] != "not_applicable")]
        if len(rows):
            wins, losses, open_ = counted(rows)
            decided = f"in {wins} of {wins + losses}" if wins + losses else "none is decided"
            others.append(f"{words} {decided} ({open_})")
    return text + (f"; {' and '.join(others)}." if others else ".")


def with_policies(tables: Tables, environments: Iterable[str]) -> dict[str, str]:
    """What to call environments in prose: by their initial policy, too, where there are several of one."""
    every = list(dict.fromkeys(environments))
    found = {name: label(name) for name in every}
    for name in every:
        own = [other for other in every if tables.original(other) == tables.original(name)]
        if len(own) > 1:
            found[name] = f"{label(tables.original(name))} (initial policy {own.index(name) + 1})"
    return found


def _where(samples: pd.DataFrame, reasons: Mapping[str, Reason], called: Mapping[str, str]) -> str:
    decided = samples[samples["verdict"].isin(SIDES)]
    lost = decided[decided["verdict"] == "score_function"].groupby("environment").size()
    total = decided.groupby("environment", sort=False).size()
    sentences = []
    if wins := [called[name] for name in _won(samples)]:
        sentences.append(f"On the levels tried it wins every decided comparison in {_list(wins)}.")
    parts = []
    kinds = {name: reasons[name].kind if name in reasons else "" for name in total.index if name in lost.index}
    for kind, where in (*CIRCUMSTANCES.items(), ("", "")):
        names = [name for name in kinds if kinds[name] == kind]
        if names and kind:
            worst = max(names, key=lambda name: reasons[name].size)
            where = f"{where} ({reasons[worst].words}, in {called[worst]}) "
        every = [called[name] for name in names if lost[name] == total[name]]
        some = [called[name] for name in names if lost[name] < total[name]]
        which = [f"{many} in {_list(them)}" for many, them in (("every decided one", every), ("some", some)) if them]
        if which:
            parts.append(where + " and ".join(which))
    if parts:
        sentences.append(f"It loses {'; '.join(parts)}.")
    return " ".join(sentences)


def _won(samples: pd.DataFrame) -> list[str]:
    """The environments in which pathwise wins every comparison that is decided, and there is one."""
    decided = samples[samples["verdict"].isin(SIDES)]
    return [
        str(name) for name, own in decided.groupby("environment", sort=False) if (own["verdict"] == "pathwise").all()
    ]


def _flips(samples: pd.DataFrame) -> str:
    found = {name: boundaries(own) for name, own in samples.groupby("environment")}
    changes = [change for own in found.values() for group in own.values() for change in group]
    if not changes:
        several = samples.groupby("environment")["sigma"].nunique().max() > 1
        return "In no environment does the winner change between the noise levels tried." if several else ""
    to_score = sum(change.winner_low == "pathwise" for change in changes)
    times = "each time" if to_score == len(changes) else f"{to_score} of {len(changes)} times"
    spans = sorted((change.low, change.high) for change in changes)
    lowest, highest = (" and ".join(map(sigma_token, span)) for span in (spans[0], spans[-1]))
    return (
        "On the levels tried the winner changes with the noise in"
        f" {many(sum(map(bool, found.values())), 'environment')}, {times}"
        " from pathwise at the smaller to the score function at the larger noise: between σ = "
        + (f"{lowest} at the lowest and {highest} at the highest." if lowest != highest else f"{lowest}.")
    )


def boundaries(verdicts: pd.DataFrame) -> dict[float, list[Boundary]]:
    """Per checkpoint, where one environment's winner changes between neighbouring decided noise levels."""
    found: dict[float, list[Boundary]] = {}
    decided = verdicts[verdicts["verdict"].isin(SIDES)]
    for checkpoint in sorted(decided["checkpoint"].fillna(0).unique().tolist()):
        rows = decided[decided["checkpoint"].fillna(0) == checkpoint].sort_values("sigma")
        levels, winners = rows["sigma"].tolist(), rows["verdict"].tolist()
        own = [
            Boundary(levels[i], levels[i + 1], winners[i], winners[i + 1])
            for i in range(len(rows) - 1)
            if winners[i] != winners[i + 1]
        ]
        if own:
            found[checkpoint] = own
    return found


def measured_reasons(tables: Tables) -> dict[str, Reason]:
    """Per environment, what the measurements say against pathwise: a bias, a variance above the score function's."""
    statistics = tables.read("gradient_statistics")
    references = tables.read("references")[["environment", "sigma", "checkpoint", "gradient_norm"]]
    statistics = statistics[statistics["sigma"] > 0].merge(
        references, on=["environment", "sigma", "checkpoint"], how="left"
    )
    pathwise = tables.called("pathwise")
    worst = _worst_variance_ratio(compared(tables), statistics, pathwise)
    reasons = {}
    for name in in_order(statistics, "environment"):
        own = statistics[(statistics["environment"] == name) & (statistics["estimator"] == pathwise)]
        length = own["gradient_norm"].where(own["gradient_norm"] > 0)
        # the error counts a bias only where unbiasedness is not declared; elsewhere a batch may have seen only zeros
        counted = own["mse_equal_samples"] > own["variance"] / own["budget"] * (1 + 1e-6)
        share = (np.sqrt(own["squared_bias"].clip(lower=0)) / length)[counted & (own["squared_bias_low"] > 0)]
        least = (np.sqrt(own["squared_bias_low"].clip(lower=0)) / length)[counted]
        if len(share) and (least > NOTABLE_BIAS).any():
            reasons[name] = Reason("bias", float(share.max()))
        elif name in worst:
            reasons[name] = Reason("variance", worst[name])
    return reasons


def _worst_variance_ratio(verdicts: pd.DataFrame, statistics: pd.DataFrame, pathwise: str) -> dict[str, float]:
    """Per environment, the least factor by which pathwise's variance is larger than that of its rival.

    The lower limit of one by the upper limit of the other, where that is largest: the largest of many ratios of noisy
    variances would be too large.
    """
    where = ["environment", "sigma", "checkpoint"]
    columns = ["variance", "variance_low", "variance_high"]
    variances = statistics[[*where, "estimator", *columns]]
    rivals = variances.rename(columns={"estimator": "rival", **{name: f"rival_{name}" for name in columns}})
    rows = verdicts[(verdicts["criterion"] == "equal_samples") & (verdicts["rival"] != "")]
    rows = rows.merge(rivals, on=[*where, "rival"]).merge(variances[variances["estimator"] == pathwise], on=where)
    rows = rows[rows["variance_low"] > rows["rival_variance_high"]]
    ratio = (rows["variance_low"] / rows["rival_variance_high"]).where(lambda value: np.isfinite(value))
    return {str(name): float(value) for name, value in ratio.groupby(rows["environment"]).max().dropna().items()}


def decisions(tables: Tables, facts: dict[str, list[str]] | None = None) -> tuple[list[Decision], dict[str, list[str]]]:
    """The decision table's rows, and for each criterion the noise levels it has columns for.

    `facts` holds what is declared about an environment, in words; what was measured is added here. Equal environment
    steps get columns only where they give other verdicts than equal samples.
    """
    verdicts = compared(tables)
    columns: dict[str, list[str]] = {}
    for criterion in CRITERIA:
        own = verdicts[verdicts["criterion"] == criterion]
        applicable = own[own["verdict"] != "not_applicable"]
        levels = sorted((applicable if len(applicable) else own)["sigma"].dropna().unique().tolist())
        if levels:
            columns[criterion] = [sigma_token(level) for level in levels]
    names = dict.fromkeys([*in_order(tables.read("cells"), "environment"), *in_order(verdicts, "environment")])
    reasons, crossings = measured_reasons(tables), exact_crossings(tables)
    if _same_verdicts(verdicts, "equal_steps", "equal_samples"):
        columns.pop("equal_steps", None)
    rows = []
    for name in names:
        own = verdicts[verdicts["environment"] == name]
        marks = {
            criterion: tuple(_mark(own[own["criterion"] == criterion], token) for token in tokens)
            for criterion, tokens in columns.items()
        }
        regime = [*(facts or {}).get(name, []), *([f"pathwise: {reasons[name]}"] if name in reasons else [])]
        boundary = _boundary_words(own[own["criterion"] == "equal_samples"])
        boundary += tuple(f"exact: {crossing}" for crossing in crossings.get(name, ()))
        rows.append(Decision(name, tuple(regime), marks, boundary))
    return rows, columns


def _same_verdicts(verdicts: pd.DataFrame, first: str, second: str) -> bool:
    """Whether two criteria give the same verdict everywhere."""
    where = ["environment", "sigma", "checkpoint"]
    one, two = (
        verdicts[verdicts["criterion"] == criterion].set_index(where)["verdict"] for criterion in (first, second)
    )
    return bool(one.sort_index().equals(two.sort_index()))


def _mark(rows: pd.DataFrame, token: str) -> Mark:
    own = rows[rows["sigma"].map(sigma_token) == token]
    verdicts = [verdict for verdict in own["verdict"] if verdict != "not_applicable"]
    if not verdicts:
        reason = next((reason for reason in own["reason"] if reason), "no data")
        return Mark(token, "n/a", f"not applicable: {reason}" if len(own) else "no data")
    wins, losses = (verdicts.count(side) for side in SIDES)
    named = {"pathwise": "pathwise", "score_function": "score function"} | OPEN
    words = ", ".join(f"{verdicts.count(word)} {name}" for word, name in named.items() if word in verdicts)
    rest = next((code for word, code in CODES.items() if word in verdicts), "?")
    code = "mixed" if wins and losses else "P" if wins else "S" if losses else rest
    return Mark(token, code, words)


def _boundary_words(rows: pd.DataFrame) -> tuple[str, ...]:
    found = boundaries(rows)
    checkpoints = set(rows.loc[rows["verdict"].isin(SIDES), "checkpoint"].fillna(0))
    if not found:
        return ()
    texts = {checkpoint: "; ".join(map(str, own)) for checkpoint, own in found.items()}
    if len(set(texts.values())) == 1 and set(texts) == checkpoints:
        return (next(iter(texts.values())),)
    return tuple(f"{checkpoint_name(checkpoint)}: {text}" for checkpoint, text in texts.items())


def _round(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _list(items: Sequence[str]) -> str:
    return f"{', '.join(items[:-1])} and {items[-1]}" if len(items) > 1 else "".join(items)
