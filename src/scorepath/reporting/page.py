"""Renders `reports/report.html`: the answer first, then the evidence, then how it was made, and every cell.

Everything the page says with a number is computed from the study's tables, in modules of one idea each; the templates,
one per section, only lay it out. Jinja escapes all of it. The page carries its tables and asks for nothing outside.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from scorepath.figures import FIGURES
from scorepath.figures.wording import BIAS_SEEN, label, number, wants
from scorepath.provenance import findings
from scorepath.provenance.efficiency import latest_run
from scorepath.reporting import calibration
from scorepath.reporting.advisor import QUANTITIES, advisor_rows, advisor_sentences
from scorepath.reporting.answer import CRITERIA, decisions, evidence
from scorepath.reporting.bibliography import WORKS, bibtex_address
from scorepath.reporting.cards import cards, sketches
from scorepath.reporting.coverage import coverage_rows
from scorepath.reporting.cures import cure_rows, cure_sentence
from scorepath.reporting.drawings import Picture, picture
from scorepath.reporting.embedding import downloads, script_data
from scorepath.reporting.every_cell import embedded_cells
from scorepath.reporting.landscapes import embedded_landscapes, embedded_trajectories
from scorepath.reporting.learning import learning_rows
from scorepath.reporting.ledger import ledger_sentence
from scorepath.reporting.numbers import readable_page
from scorepath.reporting.questions import question_facts
from scorepath.reporting.rows import (
    boundary_terms,
    declared_facts,
    estimator_rows,
    health_rows,
    identity_rows,
    judged_by,
    reference_rows,
    tallies,
    training_rows,
)
from scorepath.reporting.rule import CLEARLY, in_doubt, rule_lines
from scorepath.reporting.simulator import questions
from scorepath.reporting.summaries import IN_HEADS, regret_rows, scope, win_rows
from scorepath.reporting.tiles import embedded_tiles
from scorepath.reporting.why import mechanism_rows, why_sentences
from scorepath.store.files import atomic_write
from scorepath.store.paths import TABLES, sigma_token
from scorepath.store.records import all_records
from scorepath.store.tables import Tables
from scorepath.study.cells import Plan

UNFINISHED = ("failed", "missing")


def render_report(
    tables: Tables, figures: Path, plan: Plan | None, output: Path, provenance: Mapping[str, Any]
) -> None:
    """Write the report; whatever is missing is said on the page instead of stopping it.

    `provenance` is shown as given; nested mappings become nested tables.
    """
    output = Path(output)
    environment = Environment(
        loader=PackageLoader("scorepath.reporting"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(number=number, label=label, sigma=sigma_token)
    source = environment.loader.get_source  # type: ignore[union-attr]
    facts = declared_facts(plan)
    rows, columns = decisions(tables, facts)
    cells = tables.read("cells")
    config: Mapping[str, Any] = plan.config if plan else {}
    drawn = {entry["family"] for entry in config.get("environments", ())}
    described, drawings = cards(plan), count()

    def draw(path: Path, table: str) -> Picture | None:
        """A figure with names of its own: the page numbers them in its order."""
        return picture(path, table, f"f{next(drawings)}", described)

    page = environment.get_template("report.html.j2").render(
        css=Markup("".join(source(environment, name)[0] for name in environment.list_templates(extensions=["css"]))),
        js=Markup("".join(source(environment, name)[0] for name in environment.list_templates(extensions=["js"]))),
        study=script_data(
            {
                "cells": embedded_cells(tables),
                "map": embedded_tiles(tables, config),
                "cards": described,
                "sketches": {name: text for name, text in sketches().items() if name in drawn},
                "landscapes": embedded_landscapes(tables),
                "trajectories": embedded_trajectories(tables),
            }
        ),
        judged_by=judged_by(tables),
        rule=rule_lines(tables),
        clearly=10**CLEARLY,
        in_doubt=in_doubt(tables),
        scope=scope(tables),
        evidence=evidence(tables),
        refuted=findings.sentences(tables.folder),
        decisions=rows,
        criteria={key: (CRITERIA[key], tokens) for key, tokens in columns.items()},
        unfinished=cells[cells["status"].isin(UNFINISHED)].to_dict("records"),
        absent=absent(tables, plan),
        pictures={name: draw(Path(figures) / f"{name}.svg", figure.reads[-1]) for name, figure in FIGURES.items()},
        diagrams={
            entry["name"]: draw(Path(figures) / "sweeps" / f"{entry['name']}.svg", "phase_diagrams")
            for entry in config.get("sweeps", ())
        },
        crossings=tables.read("crossings").to_dict("records"),
        questions=question_facts(tables),
        identity=identity_rows(tables),
        boundary_terms=boundary_terms(tables, facts),
        health=health_rows(tables),
        why=why_sentences(tables),
        mechanisms=mechanism_rows(tables),
        training=training_rows(tables),
        trains=cells.empty or wants(cells, "training") or not tables.read("training").empty,
        tallies=tallies(tables),
        compared=IN_HEADS,
        calibration=calibration.tables(calibration.recorded()),
        wins=win_rows(tables),
        regrets=regret_rows(tables),
        cure=cure_sentence(tables),
        cures=cure_rows(tables),
        tree=questions(tables),
        advisor=advisor_rows(tables),
        advisor_columns=QUANTITIES,
        advisor_sentences=advisor_sentences(tables),
        coverage=coverage_rows(tables),
        works=WORKS,
        bibtex=bibtex_address(),
        bias_seen=BIAS_SEEN,
        estimators=estimator_rows(tables, plan),
        references=reference_rows(tables),
        learning=learning_rows(tables),
        claims=tables.read("claims").to_dict("records"),
        ledger=ledger_sentence(tables),
        experiments=[
            found
            for name in config.get("claims", ())
            if (found := draw(Path(figures) / "claims" / f"{name}.svg", "claims"))
        ],
        fingerprint=plan.fingerprint if plan else "",
        config=json.dumps(config, indent=2, ensure_ascii=False) if plan else "",
        settings=config,
        provenance=provenance,
        run=latest_run(all_records()) if tables.folder == TABLES else None,  # records are of the study in this folder
        downloads=downloads(tables),
    )
    with atomic_write(output) as file:
        file.write(readable_page(page))


def absent(tables: Tables, plan: Plan | None) -> list[str]:
    """What sweeps and claims of the study have no result, in words: "2 of 4 points of the sweep stiff"."""
    if plan is None:
        return []
    diagrams, claims = tables.read("phase_diagrams"), set(tables.read("claims")["claim"])
    measured = diagrams[diagrams["kind"] == "measured"].drop_duplicates(["sweep", "x", "y"])["sweep"].value_counts()
    found = []
    for entry in plan.config.get("sweeps", ()):
        points = math.prod(map(len, entry["axes"].values()))
        if lacking := points - int(measured.get(entry["name"], 0)):
            found.append(f"{lacking} of {points} points of the sweep {label(entry['name'])}")
    tried = plan.config.get("claims", ())
    return found + [f"the claim {name}" for name in tried if name.replace("_", "-") not in claims]


def fingerprint_of(report: Path) -> str:
    """The fingerprint of the plan that a report was made of; "" if there is no such report."""
    try:
        with report.open(encoding="utf-8") as file:
            head = file.read(2000)
    except (OSError, ValueError):
        return ""
    found = re.search(r'<meta name="scorepath-plan" content="(\w+)">', head)
    return found[1] if found else ""
