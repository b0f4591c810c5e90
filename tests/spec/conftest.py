"""Read the specs once, and provide their readers and the renderer as fixtures.

Test folders are not packages, so the modules of this folder are loaded by path.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def _load(name: str, module_name: str) -> ModuleType:
    path = Path(__file__).resolve().parent / f"{name}.py"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look up their own module by name.
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    return module


_load("case_files", "case_files")  # The other modules import it by this name.
TABLES, RENDER, RULES, MEASURES = (
    _load(name, f"renewcast_spec_{name}") for name in ("tables", "render", "rules", "measures")
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes ``case`` for every case of every topic."""
    if "case" in metafunc.fixturenames:
        cases = [case for topic in TABLES.read_topics() for case in topic.cases]
        # Strict: if a marked case holds, its mark must be removed.
        marks = [
            [pytest.mark.xfail(reason=c.not_yet, strict=True, raises=AssertionError)] if c.not_yet else []
            for c in cases
        ]
        metafunc.parametrize("case", [pytest.param(c, id=c.id, marks=m) for c, m in zip(cases, marks, strict=True)])
    if "rule_case" in metafunc.fixturenames:
        rule_cases = [case for topic in RULES.read_topics() for case in topic.cases]
        metafunc.parametrize("rule_case", [pytest.param(case, id=case.id) for case in rule_cases])
    if "measure_case" in metafunc.fixturenames:
        kpi_cases = [case for topic in MEASURES.read_topics(TABLES) for case in topic.cases]
        metafunc.parametrize("measure_case", [pytest.param(case, id=case.id) for case in kpi_cases])


@pytest.fixture(scope="session")
def rules() -> ModuleType:
    """Return the reader of the specs of rules."""
    return RULES


@pytest.fixture(scope="session")
def tables() -> ModuleType:
    """Return the reader of the specs of snapshots."""
    return TABLES


@pytest.fixture(scope="session")
def render() -> ModuleType:
    """Return the renderer of specs."""
    return RENDER


@pytest.fixture(scope="session")
def measures() -> ModuleType:
    """Return the reader of the specs of KPIs."""
    return MEASURES
