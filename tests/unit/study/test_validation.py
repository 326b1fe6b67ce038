"""Every way a config was seen to be wrong, and what its author is told; no torch needed."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable
from dataclasses import MISSING
from typing import Any

import pytest
import yaml
from tests.helpers.places import ROOT

from scorepath.study.validation import SCHEMA_PATH, KnobTable, validate
from scorepath.study.wording import ConfigError
from scorepath.study.yaml import load_yaml

FAMILIES: dict[str, KnobTable] = {
    "quadratic": {"discount": 1.0, "dimension": 1, "offset": 0.0},
    "lqr": {"discount": 1.0, "horizon": 20, "dynamics": MISSING, "control": ((0.5,),), "process_noise": 0.0},
    "angle_doubling": {"discount": 1.0, "doublings": 6, "noise_at": "every_step", "wrap": True},
}
METHODS: dict[str, KnobTable] = {
    "reinforce": {},
    "pathwise": {},
    "truncated_pathwise": {"window": 5},
    "evolution_strategies": {"perturbation": 0.1},
}
GOOD: dict[str, Any] = {
    "noise_levels": [0, 0.1, "1e-3"],
    "environments": [
        {"name": "quadratic"},
        {"name": "quadratic_32d", "family": "quadratic", "dimension": 32, "offset": "2e-1"},
        {"name": "lqr", "dynamics": [["9e-1"]], "policy": {"kind": "mlp"}},
    ],
    "estimators": ["reinforce", {"name": "short", "method": "truncated_pathwise", "window": 3}],
}
Edit = Callable[[dict[str, Any]], object]


def changed(edit: Edit) -> dict[str, Any]:
    config = copy.deepcopy(GOOD)
    edit(config)
    return config


def setting(*path: str | int, to: object) -> Edit:
    """An edit that sets the value at a path, making sections on the way."""

    def edit(config: dict[str, Any]) -> None:
        node: Any = config
        for part in path[:-1]:
            node = node.setdefault(part, {}) if isinstance(node, dict) else node[part]
        node[path[-1]] = to

    return edit


def removing(key: str) -> Edit:
    return lambda config: config.pop(key)


BAD: list[tuple[Edit, list[str]]] = [
    (setting("noise_level", to=[0.1]), ["noise_level is not a key", "Did you mean 'noise_levels'?", "statistics"]),
    (setting("gradients", "sample", to=8), ["gradients.sample ", "'samples'", "batch_size, dtype, samples"]),
    (removing("estimators"), ["estimators is missing"]),
    (setting("environments", 0, to={"family": "quadratic"}), ["environments[0].name is missing"]),
    (setting("noise_levels", to=[]), ["noise_levels is empty"]),
    (setting("environments", to=[]), ["environments is empty"]),
    (setting("estimators", to=None), ["estimators must be a list, not nothing"]),
    (setting("training", "learning_rates", to=[]), ["training.learning_rates is empty"]),
    (setting("noise_levels", 1, to=-0.1), ["noise_levels[1] is -0.1", "must not be negative"]),
    (setting("noise_levels", 1, to=float("inf")), ["noise_levels[1] is inf", "finite"]),
    (setting("noise_levels", 1, to="nan"), ["noise_levels[1] is nan", "finite"]),
    (setting("noise_levels", 1, to="much"), ["noise_levels[1] must be a number, not a string", '"much"']),
    (setting("noise_levels", 1, to=True), ["noise_levels[1] must be a number, not a boolean", "true"]),
    (setting("claims", to="wrong_sign"), ["claims must be a list of claims, or the word all", "wrong_sign"]),
    (setting("noise_levels", to=0.1), ["noise_levels must be a list, not a number", "0.1"]),
    (setting("noise_levels", to=[0.1, 0.3, "1e-1"]), ["noise_levels[2] is 0.1 again", "noise_levels[0]"]),
    (setting("environments", 2, "family", to="lqrr"), ["environments[2].family", "'lqrr'", "'lqr'", "quadratic"]),
    (setting("environments", 0, "name", to="mine"), ["environments[0].name", "`family:`", "quadratic"]),
    (setting("environments", 1, "dimenson", to=3), ["environments[1].dimenson", "'dimension'", "offset"]),
    (setting("environments", 1, "dimension", to=1.5), ["environments[1].dimension", "whole number", "1.5"]),
    (setting("environments", 1, "dimension", to=True), ["environments[1].dimension", "not a boolean"]),
    (setting("environments", 1, "offset", to="far"), ["environments[1].offset must be a number", '"far"']),
    (setting("environments", 1, "offset", to=float("nan")), ["environments[1].offset", "finite"]),
    (setting("environments", 2, to={"name": "lqr"}), ["environments[2].dynamics is missing", "'lqr'"]),
    (setting("environments", 2, "control", to=[["x"]]), ["environments[2].control[0][0] must be a number", '"x"']),
    (setting("environments", 2, "control", to=0.5), ["environments[2].control must be a list", "0.5"]),
    (setting("environments", 1, "name", to="quadratic"), ["environments[1].name", "environments[0]", "differ"]),
    (setting("environments", 1, "name", to="a b"), ["environments[1].name", '"a b"', "file name"]),
    (setting("environments", 1, "name", to="../up"), ["environments[1].name", "file name"]),
    (setting("environments", 1, "name", to="$(rm)"), ["environments[1].name", "file name"]),
    (setting("environments", 1, "name", to="it's"), ["environments[1].name", "file name"]),
    (setting("environments", 1, "name", to="a\n"), ["environments[1].name", "file name"]),
    (setting("environments", 1, "name", to=7), ["environments[1].name must be a name, not a number"]),
    (setting("environments", 1, "policies", to=0), ["environments[1].policies is 0", "at least 1"]),
    (setting("environments", 1, to=7), ["environments[1] must be a mapping, not a number"]),
    (setting("environments", 2, "policy", "kind", to="mpl"), ["environments[2].policy.kind", '"mpl"', "'mlp'"]),
    (setting("environments", 2, "policy", to={"hidden": [3]}), ["environments[2].policy.kind is missing"]),
    (setting("environments", 2, "policy", "hidden", to=[0]), ["environments[2].policy.hidden[0]", "at least 1"]),
    (setting("environments", 2, "policy", to={"kind": "linear", "hidden": [3]}), ["policy.hidden", "'linear'"]),
    (setting("environments", 2, "policy", "width", to=3), ["environments[2].policy.width", "hidden, kind"]),
    (setting("environments", 2, "policy", "activation", to="rleu"), ["policy.activation", '"rleu"', "'relu'"]),
    (
        setting("environments", 2, "policy", to={"kind": "linear", "activation": "elu"}),
        ["policy.activation belongs to the policy kind 'mlp'", "'linear'"],
    ),
    (setting("environments", 2, "policy", "weights", to="a.pt"), ["policy.weights belongs to", "'module'", "'mlp'"]),
    (
        setting("environments", 2, "policy", "standard_deviation", to="own"),
        ["policy.standard_deviation", "fixed, learned, state_dependent"],
    ),
    (
        setting("environments", 2, "policy", to={"kind": "module", "module": "Actor"}),
        ["policy.module must name a file", "mine/policy.py:Actor", '"Actor"'],
    ),
    (setting("environments", 2, "policy", to={"kind": "module"}), ["policy.module must name a file", "nothing"]),
    (
        setting("environments", 2, "samples", to={"gradients": 1000}),
        ["environments[2].samples.gradients is 1000", "a multiple", "1024"],
    ),
    (
        setting("environments", 1, "samples", to={"gradients": 128}),
        ["environments[1].samples.gradients is 128", "four batches", "256"],
    ),
    (setting("environments", 1, "samples", to={"reference": 128}), ["environments[1].samples.reference", "references"]),
    (setting("environments", 1, "samples", to=128), ["environments[1].samples must be a mapping"]),
    (
        setting("environments", 1, "noise_levels", to=[0.1, 0.2]),
        ["environments[1].noise_levels[1] is 0.2", "noise_levels does not have"],
    ),
    (setting("environments", 1, "noise_levels", to=[0.1, "1e-1"]), ["environments[1].noise_levels[1] is 0.1 again"]),
    (setting("environments", 1, "noise_levels", to=[]), ["environments[1].noise_levels", "at least 1"]),
    (
        setting("environments", 2, "estimators", to=["reinfroce"]),
        ["environments[2].estimators[0] is reinfroce", "'reinforce'", "reinforce, short"],
    ),
    (setting("environments", 2, "squash", to=-1), ["environments[2].squash is -1", "must be positive"]),
    (setting("environments", 2, "squash", to="hard"), ["environments[2].squash must be true or false, or a number"]),
    (setting("estimators", 0, to="reinfroce"), ["estimators[0].name", "'reinforce'", "pathwise"]),
    (setting("estimators", 1, "method", to="truncated"), ["estimators[1].method", "'truncated_pathwise'"]),
    (setting("estimators", 1, "windw", to=3), ["estimators[1].windw", "'window'"]),
    (setting("estimators", 0, to={"name": "reinforce", "window": 3}), ["estimators[0].window", "There are none"]),
    (setting("estimators", 1, "name", to="reinforce"), ["estimators[1].name", "estimators[0]"]),
    (setting("gradients", to={"samples": 1000, "batch_size": 64}), ["samples is 1000", "a multiple", "1024"]),
    (setting("gradients", to={"samples": 128, "batch_size": 64}), ["samples is 128", "four batches", "256"]),
    (setting("gradients", "samples", to=0), ["gradients.samples is 0", "at least 1"]),
    (setting("gradients", "samples", to=10.5), ["gradients.samples must be a whole number", "10.5"]),
    (setting("gradients", "dtype", to="float16"), ["gradients.dtype", "float32, float64"]),
    (setting("gradients", to=4), ["gradients must be a mapping, not a number"]),
    (setting("references", "return_gaps", to=[0, 1]), ["references.return_gaps[1] is 1", "less than 1"]),
    (setting("references", "return_gaps", to=[0.5, 0.5]), ["references.return_gaps[1]", "increase"]),
    (setting("references", "noise_level", to=0), ["references.noise_level", "positive"]),
    (setting("training", "learning_rates", to=[0.1, 0]), ["training.learning_rates[1]", "positive"]),
    (setting("training", "learning_rates", to=["1e-1", 0.1]), ["training.learning_rates[1]", "again"]),
    (setting("training", "environments", to=["lqrx"]), ["training.environments[0]", "'lqr'", "quadratic_32d"]),
    (setting("training", "environments", to=["lqr", "lqr"]), ["training.environments[1]", "again"]),
    (setting("training", "estimators", to=["truncated_pathwise"]), ["training.estimators[0]", "short"]),
    (setting("training", "noise_levels", to=[0.2]), ["training.noise_levels[0] is 0.2", "noise_levels does not"]),
    (setting("training", "seeds", to="eight"), ["training.seeds must be a whole number", '"eight"']),
    (setting("statistics", "false_discovery_rate", to=1), ["statistics.false_discovery_rate", "less than 1"]),
    (setting("partial", to="maybe"), ["partial must be true or false", '"maybe"']),
    (setting("seed", to=-1), ["seed is -1", "must not be negative"]),
]


@pytest.mark.parametrize(("edit", "fragments"), BAD, ids=[fragments[0].partition(" ")[0] for _, fragments in BAD])
def test_a_bad_config_is_named_in_one_line(edit: Edit, fragments: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        validate(changed(edit), FAMILIES, METHODS)
    message = str(caught.value)
    assert all(fragment in message for fragment in fragments), message
    assert "\n" not in message
    assert len(message) < 400


def test_several_policies_are_environments_of_their_own() -> None:
    study = validate(changed(setting("environments", 2, "policies", to=3)), FAMILIES, METHODS)
    *others, first, second, third = study["environments"]
    assert second == {**first, "name": "lqr_2", "like": "lqr"}
    assert third == {**first, "name": "lqr_3", "like": "lqr"}
    assert study["training"]["environments"] == [entry["name"] for entry in (*others, first)]


def test_the_name_of_another_policy_may_be_taken() -> None:
    config = changed(setting("environments", 2, "policies", to=3))
    config["environments"].append({"name": "LQR_2", "family": "quadratic"})
    with pytest.raises(ConfigError, match=r"environments\[2\]\.policies is 3, .*'lqr_2', as environments\[3\]"):
        validate(config, FAMILIES, METHODS)


def test_another_methods_name_is_refused() -> None:
    """It would be taken for that method by every reader, and was by the answer."""
    config = GOOD | {"estimators": [{"name": "pathwise", "method": "reinforce"}]}
    with pytest.raises(ConfigError, match=r"estimators\[0\].name is 'pathwise', which is another method's name"):
        validate(config, FAMILIES, METHODS)


def test_defaults_and_numbers() -> None:
    given = copy.deepcopy(GOOD)
    study = validate(given, FAMILIES, METHODS)
    assert given == GOOD  # the caller's mapping is left alone
    assert study["noise_levels"] == [0.0, 0.1, 0.001]
    assert all(isinstance(sigma, float) for sigma in study["noise_levels"])
    every = {"noise_levels": None, "estimators": None}
    assert study["environments"] == [
        {
            "name": "quadratic",
            "family": "quadratic",
            "policy": None,
            "knobs": {},
            "squash": None,
            "samples": {},
            **every,
        },
        {
            "name": "quadratic_32d",
            "family": "quadratic",
            "policy": None,
            "knobs": {"dimension": 32, "offset": 0.2},
            "squash": None,
            "samples": {},
            **every,
        },
        {
            "name": "lqr",
            "family": "lqr",
            "policy": {"kind": "mlp", "hidden": [32, 32], "activation": "tanh", "standard_deviation": "fixed"},
            "knobs": {"dynamics": [[0.9]]},
            "squash": None,
            "samples": {},
            **every,
        },
    ]
    assert study["estimators"] == [
        {"name": "reinforce", "method": "reinforce", "options": {}},
        {"name": "short", "method": "truncated_pathwise", "options": {"window": 3}},
    ]
    assert study["gradients"] == {"samples": 4096, "batch_size": 64, "dtype": "float32"}
    assert study["training"]["environments"] == ["quadratic", "quadratic_32d", "lqr"]
    assert study["training"]["estimators"] == ["reinforce", "short"]
    assert study["training"]["noise_levels"] == [0.0, 0.1, 0.001]
    assert study["partial"] is False


@pytest.mark.parametrize("number", [4096, 4096.0, "4096", "4096.0", "4.096e3"])
def test_whole_numbers_in_every_spelling(number: object) -> None:
    study = validate(changed(setting("gradients", "samples", to=number)), FAMILIES, METHODS)
    assert study["gradients"]["samples"] == 4096
    assert isinstance(study["gradients"]["samples"], int)


def test_sections_may_be_empty_and_entries_plain_names() -> None:
    config = changed(setting("environments", to=["quadratic"]))
    study = validate({**config, "training": None, "gradients": {}}, FAMILIES, METHODS)
    assert study["environments"][0]["family"] == "quadratic"
    assert study["training"]["iterations"] == 50
    assert validate(study | GOOD, FAMILIES, METHODS)["gradients"] == study["gradients"]


@pytest.mark.parametrize(("given", "meant"), [("true", True), ("True", True), ("false", False), (True, True)])
def test_partial_from_the_command_line(given: object, meant: bool) -> None:
    assert validate(changed(setting("partial", to=given)), FAMILIES, METHODS)["partial"] is meant


def test_negative_zero_is_zero() -> None:
    study = validate(changed(setting("noise_levels", to=[-0.0])), FAMILIES, METHODS)
    assert format(study["noise_levels"][0], "g") == "0"


def test_the_default_config_has_the_schemas_shape_and_defaults() -> None:
    config = load_yaml(ROOT / "config.yaml")
    families: dict[str, dict[str, object]] = {e.get("family", e["name"]): {} for e in config["environments"]}
    for entry in config["environments"]:
        knobs = {key: MISSING for key in entry if key not in ("name", "family", "policy")}
        families[entry.get("family", entry["name"])] |= dict.fromkeys(knobs)
    own = {"name", "family", "axes", "over", "rivals", "quantity", "batches", "sigma", "batch_size", "checkpoint"}
    for entry in config["sweeps"]:
        swept = {*entry, *entry["axes"], *entry.get("over", ())} - own
        families.setdefault(entry["family"], {}).update(dict.fromkeys(swept))
    entries = [{"name": e} if isinstance(e, str) else e for e in config["estimators"]]
    methods: dict[str, dict[str, object]] = {rival: {} for e in config["sweeps"] for rival in e.get("rivals", ())}
    methods |= {e.get("method", e["name"]): dict.fromkeys(e) for e in entries}
    study = validate(config, families, methods)
    bare = {key: config[key] for key in ("noise_levels", "environments", "estimators")}
    filled = validate(bare, families, methods)
    for section in ("seed", "gradients", "references", "costs", "statistics"):
        assert study[section] == filled[section], f"config.yaml and the schema's defaults differ in {section}"
    for key in ("optimiser", "learning_rates", "extension", "seeds", "tuning_seeds", "iterations"):
        assert study["training"][key] == filled["training"][key]


def test_validation_imports_no_torch() -> None:
    code = "import sys, scorepath.study.validation; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def schema_keys(schema: dict[str, Any], path: str = "") -> dict[str, dict[str, Any]]:
    """Dotted key -> its part of the schema."""
    found: dict[str, dict[str, Any]] = {}
    if schema.get("type") == "array":
        return schema_keys(schema["items"], f"{path}[]")
    for key, inner in schema.get("properties", {}).items():
        name = f"{path}.{key}" if path else key
        found[name] = inner
        found |= schema_keys(inner, name)
    return found


def test_the_schema_and_its_documentation_agree() -> None:
    schema = yaml.safe_load(SCHEMA_PATH.read_text())
    rows = {}
    for line in (ROOT / "docs/configuration.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 3:
            rows[cells[0].strip("`")] = cells[1:]
    keys = schema_keys(schema)
    assert list(rows) == list(keys)
    for key, inner in keys.items():
        default, meaning = rows[key]
        assert meaning == inner["description"], key
        if "default" in inner and inner["type"] != "object":
            assert yaml.safe_load(default.strip("`")) == inner["default"], key


def test_the_schema_is_closed() -> None:
    schema = yaml.safe_load(SCHEMA_PATH.read_text())
    assert schema["additionalProperties"] is False
    for key, inner in schema_keys(schema).items():
        assert inner.get("description"), key
        if inner["type"] == "object":
            # a family's knobs, a module's arguments
            names_of_its_own = key in ("sweeps[].axes", "sweeps[].over", "environments[].policy.options")
            assert inner["additionalProperties"] is names_of_its_own, key
