"""The tables of the specification (`tests/spec`) as pages."""

from __future__ import annotations

import importlib.util
import sys
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

SPEC = Path(__file__).resolve().parents[2] / "tests" / "spec"


def point_in_time_page() -> str:
    """What a snapshot knows at its ``as_of``, case by case."""
    spec = _modules()
    return str(spec.render.page(spec.tables.read_topics(), spec.tables.HOW_TO_READ))


def rule_examples_page() -> str:
    """What follows from the rules, case by case."""
    spec = _modules()
    return str(spec.render.rules_page(spec.rules.read_topics(), spec.rules.HOW_TO_READ))


def kpi_page() -> str:
    """The definition and target of every KPI, and worked examples."""
    spec = _modules()
    topics = spec.measures.read_topics(spec.tables)
    return str(spec.render.measures_page(topics, spec.measures.HOW_TO_READ, spec.measures.definitions()))


@lru_cache(maxsize=1)
def _modules() -> Any:
    """The readers of the specification. They are no package: tests have none here."""
    # The others import it by this name.
    _load("case_files", "case_files")
    names = ("tables", "rules", "measures", "render")
    return SimpleNamespace(**{name: _load(name, f"renewcast_spec_{name}") for name in names})


def _load(name: str, module_name: str) -> Any:
    if module_name in sys.modules:
        return sys.modules[module_name]
    spec = importlib.util.spec_from_file_location(module_name, SPEC / f"{name}.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"{SPEC / name}.py cannot be read")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look up their own module by name.
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    return module
