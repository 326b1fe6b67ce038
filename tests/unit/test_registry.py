"""Discovery costs a listing of the folder once for each class, however often it is asked for."""

from __future__ import annotations

import pytest

from scorepath import registry


def test_a_class_that_was_found_is_not_looked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planning a large study asks tens of thousands of times."""
    found = registry.load(registry.ENVIRONMENTS, "cosine")
    monkeypatch.setattr(registry, "names", lambda package: pytest.fail(f"{package} was listed again"))
    assert registry.load(registry.ENVIRONMENTS, "cosine") is found


def test_what_was_not_there_may_come(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LookupError, match="no 'cosines' among the modules"):
        registry.load(registry.ENVIRONMENTS, "cosines")
    monkeypatch.setattr(registry, "names", lambda package: ["cosines"])
    with pytest.raises(LookupError, match="cosines cannot be imported"):
        registry.load(registry.ENVIRONMENTS, "cosines")
