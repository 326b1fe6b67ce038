"""The gather of probes: the advisor's model fitted to this study's verdicts, and scored on families it has not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from scorepath.registry import family_of
from scorepath.stages._advisor import fitted, places_table, scores_table
from scorepath.stages._measurements import read_rows, with_policies
from scorepath.store.files import atomic_write
from scorepath.store.paths import ADVISOR_MODEL, TABLES, probes_path
from scorepath.store.tables import Tables, empty, save

if TYPE_CHECKING:
    from scorepath.study.cells import Plan


def advisor(plan: Plan) -> None:
    """Fit the advisor's model to the probes and the verdicts, and score it beside simpler rules."""
    study = plan.study
    paths = [probes_path(name) for name in with_policies(study.environments)]
    parts = [rows for path in paths if path.exists() and len(rows := read_rows(path, may_be_empty=True))]
    probes = pd.concat(parts, ignore_index=True) if parts else empty("probes")
    families = {name: family_of(entry.family, entry.plugin) for name, entry in study.environments.items()}
    places = places_table(probes, Tables(TABLES, plan.methods).read("verdicts"), families)
    save("probes", places)
    budget = study.gradients.batch_size
    save("advisor", scores_table(places, budget, study.resamples, study.seed))
    with atomic_write(ADVISOR_MODEL) as file:
        file.write(fitted(places).to_json())
