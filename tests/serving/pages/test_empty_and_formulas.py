"""Pages and files of portfolios without accounts, a model or matches, and with names that look like formulas."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from models.home import Home
from models.predictions.table_export import FORMULA_STARTS
from serving.app.app import create_app
from serving.app.routes import ROUTES
from serving.common.settings import ServiceSettings
from serving.snapshots.sidecars import ACCOUNTS, read_sidecar, write_sidecar
from serving.snapshots.snapshot_files import SnapshotFiles
from tests.serving.pages.conftest import BROWSER, WEEK

#: Pages about accounts.
LISTS = ["/", "/worklist", "/alerts", "/interventions", "/renewals", "/leadership", "/trends", "/cohorts", "/churned", "/onboarding"]
OTHERS = ["/model", "/reviews", "/views", "/docs", "/sign-in", "/accounts/a05", "/accounts/a05/qbr", "/accounts/a05/plan"]
EXPORTS = re.compile(r'href="(/exports/[^"]+)"')


#: Pages of one record, of which a new home has none, and files that pages load.
RECORDS = {"/interventions/{intervention_id}", "/reviews/{review_id}", "/reviews/{review_id}/file", "/reviews/{review_id}/style.css", "/static/{name}"}


def _exports(page: str) -> list[str]:
    return [href.replace("&amp;", "&") for href in dict.fromkeys(EXPORTS.findall(page))]


@pytest.fixture(scope="module")
def unpublished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A service of a home to which nothing has been published."""
    home = Home(tmp_path_factory.mktemp("unpublished") / "home")
    app = create_app(home, ServiceSettings(open_locally=True))
    with TestClient(app, client=("127.0.0.1", 1), headers=BROWSER) as client:
        yield client


@pytest.mark.parametrize("path", [*LISTS, *OTHERS])
def test_a_page_without_data_says_what_to_do(unpublished: TestClient, path: str) -> None:
    page = unpublished.get(path)
    assert page.status_code in (200, 404, 503), path
    assert "<h1" in page.text
    if path in LISTS:
        assert "renewcast " in page.text or "No " in page.text, "the next step"


def test_every_page_is_tested() -> None:
    pages = {
        route.path
        for route in ROUTES
        if isinstance(route, APIRoute) and route.endpoint.__module__.startswith("serving.pages.") and "GET" in route.methods
    }
    pages = {path.replace("{account_id:path}", "a05") for path in pages if not path.startswith("/exports/")}
    assert pages - RECORDS == {*LISTS, *OTHERS}


@pytest.fixture(scope="module")
def without_accounts(paged_home: Home, copy_home: Callable[[Home, Path], Home], tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A service whose latest snapshot has no rows, which scoring never writes."""
    home = copy_home(paged_home, tmp_path_factory.mktemp("empty") / "home")
    path = SnapshotFiles(home).path(WEEK)
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    app = create_app(home, ServiceSettings(open_locally=True, retry_seconds=0.05))
    with TestClient(app, client=("127.0.0.1", 1), headers=BROWSER) as client:
        yield client


@pytest.mark.parametrize("path", [*LISTS, *OTHERS])
def test_a_page_of_a_snapshot_without_accounts_says_what_to_do(without_accounts: TestClient, path: str) -> None:
    page = without_accounts.get(path)
    assert page.status_code == (200 if path in ("/model", "/reviews", "/views", "/docs", "/sign-in") else 503)
    if page.status_code == 503:
        assert "it has no accounts" in page.text
        assert "renewcast score SIGNALS" in page.text


@pytest.fixture(scope="module")
def without_model(paged_home: Home, copy_home: Callable[[Home, Path], Home], tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A service of a home with a snapshot and no model."""
    home = copy_home(paged_home, tmp_path_factory.mktemp("no-model") / "home")
    home.champion_file.unlink()
    with TestClient(create_app(home, ServiceSettings(open_locally=True)), client=("127.0.0.1", 1), headers=BROWSER) as client:
        yield client


@pytest.mark.parametrize("path", [*LISTS, *OTHERS])
def test_a_page_without_a_model_and_its_files_are_served(without_model: TestClient, path: str) -> None:
    page = without_model.get(path)
    assert page.status_code == 200
    if path in (*LISTS, "/model"):
        assert "renewcast train SIGNALS" in page.text, "the next step"
    for href in _exports(page.text):
        assert without_model.get(href).status_code == 200, href


@pytest.mark.parametrize("path", LISTS)
def test_a_file_without_data_is_refused_or_empty(unpublished: TestClient, path: str) -> None:
    page = unpublished.get(path)
    for name in ("accounts", "bands", "worklist", "alerts", "interventions", "due", "forecast", "groups", "kpis", "csms"):
        for form in ("csv", "xlsx", "svg", "png"):
            answer = unpublished.get(f"/exports/{name}.{form}{path}")
            assert answer.status_code in ((200, 404) if page.status_code == 200 else (page.status_code,)), (name, form)


@pytest.fixture(scope="module")
def without_matches(paged: TestClient) -> str:
    """A valid filter that no account matches."""
    for health in ("red", "yellow", "green", "insufficient_data"):
        for risk in ("high", "medium", "low"):
            whole = paged.get(f"/v1/portfolio?health={health}&risk={risk}", headers={"Accept": "application/json"}).json()
            if whole["whole"]["accounts"] == 0:
                return f"health={health}&risk={risk}"
    raise AssertionError("every combination has accounts")


@pytest.mark.parametrize("path", LISTS)
def test_a_filter_without_matches_has_a_way_back_and_files_without_rows(paged: TestClient, without_matches: str, path: str) -> None:
    page = paged.get(f"{path}?{without_matches}")
    assert page.status_code == 200
    assert "Show all accounts" in page.text
    for href in _exports(page.text):
        assert paged.get(href).status_code in (200, 404), href
    complete = paged.get(path)
    for href in _exports(complete.text):
        answer = paged.get(f"{href}{'&' if '?' in href else '?'}{without_matches}")
        assert answer.status_code in (200, 404), href
        if answer.status_code == 200 and href.partition(".csv")[1]:
            assert answer.text.splitlines()[0], "the headings"


@pytest.mark.parametrize("path", [*LISTS, "/?q=nothing+like+this", "/alerts?q=nothing+like+this", "/renewals?q=nothing+like+this"])
def test_a_misspelled_value_is_an_empty_page(paged: TestClient, path: str) -> None:
    page = paged.get(f"{path}{'&' if '?' in path else '?'}csm=no+such+CSM")
    assert page.status_code == 200
    assert "Show all accounts" in page.text


@pytest.fixture(scope="module")
def formulas(paged_home: Home, copy_home: Callable[[Home, Path], Home], tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A service whose accounts and CSMs have names that a spreadsheet reads as formulas."""
    home = copy_home(paged_home, tmp_path_factory.mktemp("formulas") / "home")
    snapshots = SnapshotFiles(home)
    document = dict(read_sidecar(snapshots, WEEK, ACCOUNTS) or {})
    starts = ("=", "+", "-", "@", "\t=", "\r=")
    document["accounts"] = {
        account: {**people, "name": f"{starts[n % len(starts)]}1+1 {n}", "csm": f"{starts[n % 4]}csm", "region": f"{starts[n % 4]}1"}
        for n, (account, people) in enumerate(document["accounts"].items())
    }
    write_sidecar(snapshots, WEEK, ACCOUNTS, document)
    app = create_app(home, ServiceSettings(open_locally=True))
    with TestClient(app, client=("127.0.0.1", 1), headers=BROWSER) as client:
        yield client


@pytest.mark.parametrize("path", ["/", "/?group=csm", "/?group=region", "/worklist", "/alerts", "/renewals?period=2027Q1", "/cohorts", "/leadership?by=csm"])
def test_no_cell_of_a_file_is_a_formula(formulas: TestClient, path: str) -> None:
    page = formulas.get(path)
    assert page.status_code == 200
    escaped = 0
    for href in _exports(page.text):
        form = href.split("/")[2].partition("?")[0].rpartition(".")[2]
        if form == "csv":
            for row in csv.reader(io.StringIO(formulas.get(href).text, newline="")):
                for cell in row:
                    assert not cell.startswith(FORMULA_STARTS) or _is_number(cell), (href, cell)
                    escaped += cell.startswith("'")
        elif form == "xlsx":
            with zipfile.ZipFile(io.BytesIO(formulas.get(href).content)) as workbook:
                sheets = [workbook.read(name).decode() for name in workbook.namelist() if name.startswith("xl/worksheets/")]
            assert sheets
            assert not any(re.search(r"<f[\s>]", sheet) for sheet in sheets), href
    assert escaped or path.startswith(("/leadership", "/alerts")), "the names are in the files"


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", cell) is not None
