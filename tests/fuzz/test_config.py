"""A thousand broken configurations: each is a study after all, or one sentence about the key that is wrong.

The mutations are drawn by Hypothesis from the configurations that the repository holds, always the same ones.
"""

from __future__ import annotations

import copy
import datetime
import math
import os
import resource
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from tests.helpers.project import CONFIG, ROOT

from scorepath import registry
from scorepath.stages.plan import make_plan
from scorepath.study.cells import Plan
from scorepath.study.wording import ConfigError
from scorepath.study.yaml import load_yaml

BASES = [CONFIG, *(load_yaml(ROOT / name) for name in ("config.yaml", "config/tiny.yaml", "config/full.yaml"))]
SCHEMA = yaml.safe_load((ROOT / "src/scorepath/study/config.schema.yaml").read_text(encoding="utf-8"))
SECONDS, MEGABYTES = 5, 300
"""What one configuration may take of the processor, however busy the machine is, and all of them together of memory
beyond what an ordinary one does (seen: up to 206)."""

# the same examples everywhere; as they come, because to shrink one takes minutes
deterministic = settings(
    derandomize=True, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)

# --- mutations --------------------------------------------------------------------------------------------------------
NAMES = [*registry.names(registry.ENVIRONMENTS), *registry.names(registry.ESTIMATORS)]
KNOBS = sorted({key for base in BASES for entry in base["environments"] for key in entry})
NUMBERS = [
    *(0, -1, 1, 2, 7, 10**6, 10**9, 10**12, 2**63, 10**400, -(10**400), 0.5, -0.0, 1e-320, 1e20, 1e300),
    *(math.nan, math.inf, -math.inf, 1 + 2**-50),
]
TEXTS = [
    *("", " ", "x" * 100_000, "1e-3", "1e999", "1_000", "١٢", "nan", "true", "lqr", "9" * 5000, "[1]", "{a: 1}", "*a"),
    *("$(id)", "`id`", "a b", "it's", "a\nb", "a\0b", "\x1b[31mred", "\ud800", "\u202egnp.exe"),
    *("\u0441hain", "../up", "."),
    *("..", "-rf", "--help", "CON", "nul.csv", "a/b", "C:\\a", "<script>", "a.", "NA", "A" * 101, "sigma=1", "%s{}"),
]
OTHERS: list[Any] = [
    *(None, True, False, [], {}, [[]], [[[1]]], [None], {"a": {"b": [1]}}, {"": 0}, {1: 2}, {None: 1}, (1, 2)),
    *(datetime.date(2026, 1, 1), datetime.datetime(2026, 1, 1), b"bytes", {1, 2}, [10**9], [0.1] * 1000),
    *({"kind": "mlp", "hidden": [10**9]}, {"kind": "mlp", "hidden": [100_000] * 100}),
]
KEYS = ["name", "family", "method", "policy", "hidden", "plugin", "knobs", "__class__", "x\ny"]
KEYS += [*KNOBS, *SCHEMA["properties"]]
listed = st.sampled_from([*NUMBERS, *TEXTS, *OTHERS, *NAMES]).map(
    copy.deepcopy
)  # mutations go on in what they have put
strange = listed | st.integers() | st.floats() | st.text(max_size=20)

Place = tuple[Any, Any]
"""A container of the configuration, and a key or an index in it."""


def places(node: Any) -> Iterator[Place]:
    """Every place of a tree of lists and mappings."""
    for key in list(node) if isinstance(node, dict) else range(len(node)):
        yield node, key
        if isinstance(node[key], dict | list):
            yield from places(node[key])


def mutate(draw: DrawFn, config: dict[Any, Any]) -> None:
    """Change the configuration in one place."""
    found = list(places(config))
    (node, key), (other, other_key) = draw(st.tuples(*[st.sampled_from(found)] * 2)) if found else ((config, ""),) * 2
    value = node.get(key) if isinstance(node, dict) else node[key]
    match draw(st.sampled_from(["set", "set", "set", "drop", "copy", "move", "add", "misspell", "list", "odd"])):
        case "set":
            node[key] = draw(strange)
        case "drop":
            node.pop(key, None) if isinstance(node, dict) else node.pop(key)
        case "copy":  # among others knobs of one family to another, and a section in itself
            other[other_key] = copy.deepcopy(value)
        case "move" if node is not other:
            other[other_key] = node.pop(key)
        case "add" if isinstance(node, dict):
            node[draw(st.sampled_from(KEYS))] = draw(strange)
        case "misspell" if isinstance(node, dict) and isinstance(key, str):
            node[draw(st.sampled_from([key[:-1], key + "s", key.upper(), f" {key}", key.replace("_", "-")]))] = (
                node.pop(key)
            )
        case "list" if isinstance(value, list):
            node[key] = draw(st.sampled_from([[], value + value, [value], value[::-1], dict.fromkeys(map(str, value))]))
        case "odd" if isinstance(node, dict):
            node[draw(st.sampled_from([1, None, True, 0.5, datetime.date(2026, 1, 1), (1, 2), b"x"]))] = draw(strange)


@st.composite
def configurations(draw: DrawFn) -> dict[Any, Any]:
    """A study of a few of a base's environments and estimators, with one to four mutations."""
    config: dict[Any, Any] = copy.deepcopy(draw(st.sampled_from(BASES)))
    for section in ("environments", "estimators"):
        config[section] = draw(st.lists(st.sampled_from(config[section]), min_size=1, max_size=4, unique_by=str))
        if len(config["environments"]) < 4:  # the part that trains, with it
            config["training"].pop(section, None)
    config = copy.deepcopy(config)
    for _ in range(draw(st.integers(1, 4))):
        mutate(draw, config)
    if draw(st.integers(0, 20)) == 0:  # last of all: it contains itself
        node, key = draw(st.sampled_from([*places(config), (config, "seed")]))
        node[key] = draw(st.sampled_from([node, config, [config] * 9]))
    return config


# --- judgement --------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def empty_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder that the tests of this module run in, where nothing may appear."""
    before, folder = Path.cwd(), tmp_path_factory.mktemp("nothing")
    os.chdir(folder)
    yield folder
    os.chdir(before)


def judge(config: Mapping[Any, Any], folder: Path) -> str:
    """Plan a study; the message if it is refused, or "" for one that is fine."""
    begun = time.process_time()
    try:
        plan = make_plan(config)
    except ConfigError as error:
        message = str(error)
        assert message.strip()
        assert message.isprintable(), "not one line"
        assert len(message) <= 1300
        # a key that is no plain word is quoted
        keys = {*SCHEMA["properties"], "The configuration", '"', *map(str, config)}
        assert any(message.startswith(key[:60]) for key in keys if key), message
    else:
        message = ""
        saved = folder.parent / "plan.json"
        plan.save(saved)
        assert Plan.load(saved) == plan
        assert plan.study == Plan.load(saved).study
        assert plan.cells
    assert time.process_time() - begun < SECONDS
    assert not list(folder.iterdir())
    return message


def memory() -> float:
    """The most that this process has held so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def test_a_thousand_configurations(empty_folder: Path) -> None:
    judge(CONFIG, empty_folder)
    before, outcomes = memory(), []

    @settings(deterministic, max_examples=1000)
    @given(configurations())
    def each(config: dict[Any, Any]) -> None:
        outcomes.append(judge(config, empty_folder))

    each()
    assert len(outcomes) >= 1000
    # both happen, and the sentences are about many different things
    assert outcomes.count("") > 100
    assert len({message.split("[")[0].split(" ")[0] for message in outcomes}) > 30
    assert memory() - before < MEGABYTES


# --- knobs ------------------------------------------------------------------------------------------------------------
def knob_values(default: object) -> st.SearchStrategy[Any]:
    """Values of a knob's own kind, most of them beyond all sense."""
    match default:
        case bool():
            return st.booleans()
        case int():
            return st.sampled_from([-1, 0, 1, 2, 3, 1000, 10**4, 10**6, 10**9, 10**18])
        case float():
            return st.sampled_from([-1.0, 0.0, 5e-324, 1e-9, 0.5, 1.0, 1e3, 1e9, 1e154, 1e308])
        case list() | tuple():
            return st.sampled_from([[], [[]], [[1]], [[1, 2], [3]], [[1e308]], [[0] * 300] * 300, [1], [[[1]]]])
    return strange


def entries(package: str, kind: str) -> st.SearchStrategy[dict[str, Any]]:
    """An entry of any family (or method) with strange values of up to three of its knobs."""

    def of(name: str) -> st.SearchStrategy[dict[str, Any]]:
        known = registry.knobs(registry.load(package, name))
        chosen = st.lists(st.sampled_from(sorted(known)), max_size=3, unique=True) if known else st.just([])
        knobs = chosen.flatmap(lambda keys: st.fixed_dictionaries({key: knob_values(known[key]) for key in keys}))
        return knobs.map(lambda given: {"name": "it", kind: name, **given})

    return st.sampled_from(registry.names(package)).flatmap(of)


def test_knobs_of_every_family_and_method(empty_folder: Path) -> None:
    judge(CONFIG, empty_folder)
    before, outcomes = memory(), []
    environments, estimators = entries(registry.ENVIRONMENTS, "family"), entries(registry.ESTIMATORS, "method")

    @settings(deterministic, max_examples=500)
    @given(environments, estimators, st.sampled_from([16, 4096, 10**6]))
    def each(environment: dict[str, Any], estimator: dict[str, Any], batch_size: int) -> None:
        config = {"noise_levels": [0, 0.1], "environments": [environment], "estimators": [estimator]}
        gradients = {"samples": 4 * batch_size, "batch_size": batch_size}
        outcomes.append(judge({**config, "gradients": gradients}, empty_folder))

    each()
    assert outcomes.count("") > 50
    assert sum("fit in memory" in message for message in outcomes) > 20
    assert memory() - before < MEGABYTES


# --- the text ---------------------------------------------------------------------------------------------------------
SNIPPETS = [
    *(b"\0", b"\t", b"\r\n", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc3", b"\x85", b"\xe2\x80\xa8", b"\x1b[2J"),
    *(b"&a ", b"*a"),
    *(b"<<: *a", b"!!python/object/apply:os.getcwd []", b"!!python/name:os.system ", b"!!binary aGk=", b"!!set {a}"),
    *(b"!!timestamp x", b"!!int x", b"!!bool x", b"!x ", b"[", b"]", b"{", b"}", b": ", b"- ", b"? ", b"| ", b"---\n"),
    *(b"...\n", b"%YAML 9.9\n", b"2026-01-01", b"2026-13-45", b"0x_", b"1:99:99", b".nan", b"~", b"'"),
    *(b'"', b"#", b"@"),
]
BOMB = b"b0: &b0 [x, x]\n" + b"".join(
    b"b%d: &b%d [%s]\n" % (i, i, b", ".join([b"*b%d" % (i - 1)] * 9)) for i in range(1, 12)
)
MERGED = b"m0: &m0 {x: 1}\n" + b"".join(
    b"m%d: &m%d {<<: [%s]}\n" % (i, i, b", ".join([b"*m%d" % (i - 1)] * 99)) for i in range(1, 9)
)
WHOLE = [
    *(b"", b"\n", b"seed", b"- 1", b"seed: 1\nseed: 2", b"a: &a [*a]", b"a: &a {b: *a}", b"a: &a {<<: *a}"),
    *(b"? [1]\n: 2",),
    *(b"&a {*a : 1}", b"[" * 5000, b"{a: " * 5000, b"- " * 5000, b"a: " + b"9" * 5000, b"? " * 3000, b"\0" * 100),
    *(BOMB, MERGED, b"x" * 3_000_000),
]


@st.composite
def texts(draw: DrawFn) -> bytes:
    """The bytes of a configuration, some of them deleted, inserted, replaced or encoded otherwise."""
    text = (ROOT / "config/tiny.yaml").read_bytes()
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = start + draw(st.sampled_from([0, 0, 1, 2, 40]))
        text = text[:start] + draw(st.sampled_from([*SNIPPETS, b""]) | st.binary(max_size=3)) + text[end:]
    match draw(st.sampled_from(["", "", "", "", "utf-16", "latin-1", "crlf", "cut", "whole", "appended"])):
        case "crlf":
            return text.replace(b"\n", b"\r\n")
        case "cut":
            return text[: draw(st.integers(0, len(text)))]
        case "whole":
            return draw(st.sampled_from(WHOLE))
        case "appended":
            return text + b"\n" + draw(st.sampled_from([BOMB, MERGED, b"partial: &a [*a]\n", b"a: &a {b: *a}\n"]))
        case "utf-16" | "latin-1" as encoding:
            return (text.decode("utf-8", "ignore") + "é").encode(encoding, "ignore")
    return text


def read(path: Path) -> tuple[dict[str, Any] | None, str]:
    """The configuration in a file, or the message that refuses it."""
    try:
        return load_yaml(path), ""
    except ConfigError as error:
        message = str(error)
    assert message.isprintable()
    assert message.startswith(str(path))
    return None, message


def test_three_hundred_texts(empty_folder: Path) -> None:
    path, before, outcomes = empty_folder.parent / "study.yaml", memory(), []

    @settings(deterministic, max_examples=300)
    @given(texts())
    def each(text: bytes) -> None:
        path.write_bytes(text)
        begun = time.process_time()
        config, message = read(path)
        assert time.process_time() - begun < SECONDS
        outcomes.append(judge(config, empty_folder) if config is not None else message)

    each()
    assert outcomes.count("") > 10
    assert sum("is not valid YAML" in message for message in outcomes) > 50
    assert memory() - before < MEGABYTES


@pytest.mark.parametrize("text", WHOLE, ids=lambda text: repr(text[:20]))
def test_no_text_made_to_break_readers_does(text: bytes, empty_folder: Path) -> None:
    path, begun = empty_folder.parent / "study.yaml", time.process_time()
    path.write_bytes(text)
    config, message = read(path)
    assert message or judge(config or {}, empty_folder)
    assert time.process_time() - begun < SECONDS
