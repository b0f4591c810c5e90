"""The specs, read once; their reader and their renderer, which tests take as fixtures.

Test folders are no packages here, so the modules beside this one are loaded by their path.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def _beside(name: str, known_as: str) -> ModuleType:
    path = Path(__file__).resolve().parent / f"{name}.py"
    spec = importlib.util.spec_from_file_location(known_as, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their own module up by name.
    sys.modules[known_as] = module
    spec.loader.exec_module(module)
    return module


_beside("fenced", "fenced")  # The others import it.
TABLES, RENDER, RULES, MEASURES = (
    _beside(name, f"renewcast_spec_{name}") for name in ("tables", "render", "rules", "measures")
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes ``case`` runs for every case of every topic."""
    if "case" in metafunc.fixturenames:
        cases = [case for topic in TABLES.read_topics() for case in topic.cases]
        # Strict: a case that has come to hold must lose its mark, and then guards like the others.
        marks = [
            [pytest.mark.xfail(reason=c.not_yet, strict=True, raises=AssertionError)] if c.not_yet else []
            for c in cases
        ]
        metafunc.parametrize("case", [pytest.param(c, id=c.id, marks=m) for c, m in zip(cases, marks, strict=True)])
    if "rule_case" in metafunc.fixturenames:
        found = [case for topic in RULES.read_topics() for case in topic.cases]
        metafunc.parametrize("rule_case", [pytest.param(case, id=case.id) for case in found])
    if "measure_case" in metafunc.fixturenames:
        worked = [case for topic in MEASURES.read_topics(TABLES) for case in topic.cases]
        metafunc.parametrize("measure_case", [pytest.param(case, id=case.id) for case in worked])


@pytest.fixture(scope="session")
def rules() -> ModuleType:
    """The reader of the rules' specs."""
    return RULES


@pytest.fixture(scope="session")
def tables() -> ModuleType:
    """The reader of specs."""
    return TABLES


@pytest.fixture(scope="session")
def render() -> ModuleType:
    """The renderer of specs."""
    return RENDER


@pytest.fixture(scope="session")
def measures() -> ModuleType:
    """The reader of the measures' specs."""
    return MEASURES
