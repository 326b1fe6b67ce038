"""YAML that cannot be read, and what its author is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from scorepath.study.wording import ConfigError
from scorepath.study.yaml import load_yaml


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("seed: 1\nnoise_levels: [1]\nseed: 2\n", ["'seed'", "lines 1 and 3"]),
        ("gradients:\n  samples: 1\n  samples: 2\n", ["'samples'", "lines 2 and 3"]),
        ("environments:\n  - {name: a, name: b}\n", ["'name'", "lines 2 and 2"]),
        ("a: [1\nb: 2\n", ["line 2", "not valid YAML"]),
        ("a:\n\tb: 1\n", ["line 2", "not valid YAML"]),
        ("- 1\n- 2\n", ["keys and values", "a list"]),
        ("", ["keys and values", "nothing"]),
        ("a: !!python/object/apply:os.getcwd []\n", ["not valid YAML"]),
        ("a: \x00\n", ["not valid YAML"]),
        ("a: !!timestamp soon\n", ["line 1", "tag"]),
        ("a: 1\nb: 2026-13-01\n", ["line 2", '"2026-13-01"', "quote"]),
        ("a: " + "9" * 5000, ["line 1", "quote"]),
        ("[" * 10_000, ["line 1", "levels deep"]),
        ("a: &a {x: 1, y: 2}\nb: {<<: [" + "*a," * 600 + "]}\n", ["line 2", "`<<`", "1000"]),
    ],
)
def test_unreadable_yaml(tmp_path: Path, text: str, fragments: list[str]) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_yaml(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert all(fragment in message for fragment in fragments), message


def test_missing_file_and_anchors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_yaml(tmp_path / "none.yaml")
    path = tmp_path / "anchors.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: &b\n  <<: *a\n  x: 3\nc: {<<: *b, y: 4}\n")
    assert load_yaml(path) == {"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}, "c": {"x": 3, "y": 4}}
