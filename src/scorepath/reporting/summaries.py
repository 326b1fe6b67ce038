"""What the verdicts come to, in sentences and rows: counts, wins by noise level, and the regret of rules of thumb.

All of it is read off the tables `verdicts`, `wins` and `regrets`; nothing is computed here but words.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from scorepath.figures.wording import label
from scorepath.store.paths import sigma_token
from scorepath.store.tables import Tables

RIVALS = ("score_function", "derivative_free")
"""The verdicts that name a rival, of one comparison or another."""
OPEN = {
    "undecided": "undecided",
    "equivalent": "equivalent in practice",
    "no_signal": "without signal",
    "neither_usable": "with neither usable",
    "not_measurable": "not measurable",
}
"""The verdicts that name no winner though both sides were measured, as parts of a sentence."""
COMPARED: Mapping[str, str] = {
    "pathwise_vs_reinforce": "REINFORCE",
    "pathwise_vs_best_score_function": "the best score-function estimator",
    "pathwise_vs_best_derivative_free": "the best derivative-free estimator",
}
"""Whom pathwise meets in each comparison."""
IN_HEADS = {name: words.removeprefix("the ").removesuffix(" estimator") for name, words in COMPARED.items()}
"""Likewise, where room is scarce."""
BEST, BEST_OF_ALL = list(COMPARED)[1:]
SUMMARISED = {"equal_samples": "equal samples", "equal_steps": "equal steps"}


def counted(rows: pd.DataFrame) -> tuple[int, int, str]:
    """How many verdicts are pathwise's, how many its rival's, and in words those that are neither's."""
    verdicts = rows["verdict"].tolist()
    numbers = {name: verdicts.count(word) for word, name in OPEN.items()}
    words = [f"{number} {name}" for name, number in numbers.items() if number or name == "undecided"]
    return verdicts.count("pathwise"), sum(map(verdicts.count, RIVALS)), ", ".join(words)


def many(count: int, noun: str) -> str:
    """A number of things."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


# --- sentences --------------------------------------------------------------------------------------------------------


def summary_sentences(tables: Tables) -> dict[str, str]:
    """What has no signal, whether to backpropagate at all, wins by noise level, rules of thumb; "" where unknown."""
    verdicts = tables.read("verdicts")
    return {
        "no_signal": _without_signal(verdicts),
        "backpropagate": _backpropagate(verdicts),
        "by_noise": _by_noise(tables.read("wins")),
        "by_policy": _by_policy(verdicts),
        "rules": _rules(tables.read("regrets")),
    }


def scope(tables: Tables) -> str:
    """What was measured: environments, noise levels, checkpoints, cells, budget; "" where nothing was compared.

    Places that are not compared, as for want of a certified reference, are counted as their cells are.
    """
    rows = _measured(tables.read("verdicts"), BEST, "equal_samples")
    cells = tables.read("cells")
    ran = cells[(cells["stage"] == "gradients") & (cells["status"] == "run")]
    if rows.empty or ran.empty:
        return ""
    levels = sorted(ran["sigma"].unique())
    ends = dict.fromkeys(map(sigma_token, (levels[0], levels[-1])))
    spread = f"from {' to '.join(ends)}" if len(ends) > 1 else f"= {levels[0]:g}"
    stages = tables.read("gradient_statistics")["checkpoint"].nunique()
    budget = rows["budget"].dropna()
    at = f" at a budget of B = {budget.iloc[0]:,.0f} samples" if len(budget) else ""
    return (
        f"Scope: {many(ran['environment'].nunique(), 'environment')}{_alike(tables, ran['environment'])},"
        f" {many(len(levels), 'noise level')} (σ"
        f" {spread}), {many(stages, 'stage')} of training,"
        f" {many(ran['estimator'].nunique(), 'estimator')}; {len(ran):,} cells; errors{at}. In"
        f" {int((rows['verdict'] == 'pathwise').sum() + rows['verdict'].isin(RIVALS).sum())} of {len(rows)} comparisons"
        " with the best score function at equal samples the winner is decided."
    )


def _alike(tables: Tables, environments: pd.Series) -> str:
    """That some of them are one with several initial policies, in brackets; "" where none are."""
    names = pd.Series(environments.unique())
    counts = names.map(tables.original).value_counts(sort=False)
    parts = [f"{number} of them are {label(str(name))} with as many policies" for name, number in counts.items()
             if number > 1]  # fmt: skip
    return f" ({'; '.join(parts)})" if parts else ""


def _measured(verdicts: pd.DataFrame, comparison: str, criterion: str) -> pd.DataFrame:
    """The verdicts of a comparison by a criterion at the places where both sides were measured."""
    return verdicts[
        (verdicts["comparison"] == comparison)
        & (verdicts["criterion"] == criterion)
        & ~verdicts["verdict"].isin(["", "not_applicable"])
    ]


def _without_signal(verdicts: pd.DataFrame) -> str:
    """Where samples that are all zero leave nothing to decide, and how often the other side is of use there."""
    rows = _measured(verdicts, BEST, "equal_samples")
    silent = rows[rows["verdict"] == "no_signal"]
    if silent.empty:
        return ""
    where = ", ".join(label(name) for name in dict.fromkeys(silent["environment"]))
    useful = int((silent["relative_error"] < 1).sum())
    of_them = "each" if useful == len(silent) else f"{useful}"
    return (
        f"In {many(len(silent), 'comparison')} there is no signal, for every sample of a side is exactly zero (in"
        f" {where}); in {of_them} of them the other side’s error is smaller than the gradient’s square, which is that"
        " of zero."
    )


def _backpropagate(verdicts: pd.DataFrame) -> str:
    rows = _measured(verdicts, BEST_OF_ALL, "equal_steps")
    if rows.empty:
        return ""
    wins, losses, open_ = counted(rows)
    often = rows["rival"].mode().iloc[0]
    return (
        "Should one backpropagate at all? At equal environment steps, against the best estimator that needs returns"
        f" alone (score function, measure-valued or perturbed parameters; most often {label(often)}), the pathwise"
        f" gradient has the smaller error in {wins} of {wins + losses} decided comparisons ({open_})."
        f" {_learning(verdicts)}"
    ).strip()


def _learning(verdicts: pd.DataFrame) -> str:
    """The same of training, where others than score functions are trained."""
    rows = _measured(verdicts, BEST_OF_ALL, "training")
    rows = rows[rows["statistic"] == "score_difference"]
    if len(rows):
        wins, losses, open_ = counted(rows)
        return f"Against the best of them in training it learns better in {wins} of {wins + losses} ({open_})."
    trained = _measured(verdicts, BEST, "training")
    return "" if trained.empty else "In training score functions alone stand for them: no other is trained here."


def _by_noise(wins: pd.DataFrame) -> str:
    own = wins[(wins["comparison"] == BEST) & (wins["criterion"] == "equal_samples")]
    levels = own[(own["by"] == "sigma") & own["share"].notna()]
    every = own[(own["by"] == "all") & own["share"].notna()]
    if levels.empty or every.empty:
        return ""
    parts = [
        f"{row.pathwise_wins:.0f} of {row.pathwise_wins + row.rival_wins:.0f} at σ = {row.level}"
        for row in levels.itertuples()
    ]  # fmt: skip
    total = every.iloc[0]
    limits = ""
    if not math.isnan(total["share_low"]):
        limits = (
            f"; over all {100 * total['share']:.0f} %, and another choice of environments of this kind could give"
            f" {100 * total['share_low']:.0f} to {100 * total['share_high']:.0f} %"
        )
    return (
        "Against the best score-function estimator at equal samples the pathwise gradient wins, by noise level,"
        f" {', '.join(parts)}{limits}."
    )


def _by_policy(verdicts: pd.DataFrame) -> str:
    """How often another initial policy of the same environment turns the sign round."""
    rows = _measured(verdicts, BEST, "equal_samples")
    several = rows[(rows["policies"] > 1) & rows["value"].notna()]
    if several.empty:
        return ""
    turned = several[(several["value_least"] < 0) & (several["value_most"] > 0)]
    number, of_them = (round((1 / part["policies"]).sum()) for part in (several, turned))
    where = f" (in {', '.join(label(name) for name in dict.fromkeys(turned['environment']))})" if of_them else ""
    return (
        f"One policy describes itself only: of {many(number, 'place')} that were measured with several initial"
        " policies, each trained on its own, the smaller error changes sides from one policy to another at"
        f" {of_them}{where}."
    )


def _rules(regrets: pd.DataFrame) -> str:
    own = regrets[(regrets["comparison"] == BEST) & (regrets["criterion"] == "equal_samples")].sort_values("regret")
    if own.empty:
        return ""
    widest = own.loc[own["places"].idxmax()]
    parts = [f"{rule_name(row)} {_factor(row)}" for row in own.to_dict("records")]
    return (
        "Who follows one rule everywhere has this many times the error of the better of pathwise and the best"
        f" score-function estimator (geometric mean over {many(int(widest['places']), 'place')} where that one is of"
        f" use, in {many(int(widest['environments']), 'environment')}; in brackets 95 % limits over environments;"
        " a million at most, place by place):"
        f" {'; '.join(parts)}."
    )


def rule_name(row: Mapping[str, Any]) -> str:
    """A row of the table of regrets as prose names its rule."""
    rival = COMPARED[row["comparison"]]
    match row["rule"]:
        case "always_pathwise":
            return "always pathwise"
        case "always_rival":
            return f"always {rival}"
        case "pathwise_below_threshold":
            threshold = row["threshold"]
            if not math.isfinite(threshold):
                return "pathwise at every σ of this study (no threshold, by the other environments)"
            where = f"σ < {sigma_token(threshold)}"
            return f"pathwise where {where}, else {rival} (the threshold chosen on the other environments)"
        case mixture:
            return f"the mixture {label(mixture)}"


def _factor(row: Mapping[str, Any]) -> str:
    words = f"{row['regret']:.3g}"
    return words if math.isnan(row["regret_low"]) else f"{words} [{row['regret_low']:.2g}, {row['regret_high']:.2g}]"


# --- rows -------------------------------------------------------------------------------------------------------------


def win_rows(tables: Tables) -> tuple[list[str], list[dict[str, Any]]]:
    """The noise levels, and for each comparison and criterion a summary at each of them and over all."""
    wins = tables.read("wins")
    levels = wins[(wins["by"] == "sigma") & (wins["environments"] > 0)]
    tokens = list(dict.fromkeys(sorted(levels["level"], key=float)))
    rows = []
    for (comparison, criterion), own in wins.groupby(["comparison", "criterion"], sort=False):
        found = {row["level"]: row for row in own[own["by"] == "sigma"].to_dict("records")}
        found["all"] = next(iter(own[own["by"] == "all"].to_dict("records")), {})
        if found["all"] and found["all"]["environments"] > 0:
            words = IN_HEADS.get(str(comparison), str(comparison)), SUMMARISED.get(str(criterion), str(criterion))
            rows.append({"rival": words[0], "criterion": words[1], "levels": found})
    return tokens, rows


def regret_rows(tables: Tables) -> tuple[list[tuple[str, str]], list[dict[str, Any]]]:
    """The comparisons and criteria, and for each rule its regrets in them; the best rule of the first one comes first.

    A threshold is chosen for each of them, so its value stands with the regret.
    """
    regrets = tables.read("regrets")
    columns = list(dict.fromkeys(zip(regrets["comparison"], regrets["criterion"], strict=True)))
    rows: dict[str, dict[str, Any]] = {}
    for row in regrets.to_dict("records"):
        name = {
            "always_pathwise": "always pathwise", "always_rival": "always the rival",
            "pathwise_below_threshold": "pathwise below a threshold of σ",
        }.get(row["rule"], label(row["rule"]))  # fmt: skip
        place = columns.index((row["comparison"], row["criterion"]))
        rows.setdefault(row["rule"], {"rule": name, "regrets": {}})["regrets"][place] = row
    headings = [(IN_HEADS.get(one, one), SUMMARISED.get(other, other)) for one, other in columns]
    return headings, sorted(rows.values(), key=lambda row: row["regrets"].get(0, {}).get("regret", math.inf))
