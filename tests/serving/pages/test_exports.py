"""Every table of a page has CSV and XLSX files with the rows of the page; charts have SVG and PNG files."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from datetime import date, datetime
from html.parser import HTMLParser
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image
from python_calamine import CalamineWorkbook

from features.utils import formatting as words
from serving.html.charts import probability_trend_chart
from serving.html.exports import ExportColumn, ExportTable, csv_text, standalone_svg
from serving.html.links import report_href
from serving.html.portfolio_charts import (
    CSMS,
    csm_load_chart,
    expected_arr_chart,
    health_bands_chart,
    kpi_trend_chart,
)
from serving.pages.exports.details import TREND

EXACT = {"Accept": "application/json"}
EVIL = '"><img src=x onerror=alert(1)>'
LISTS = [
    "/", "/?sort=account&way=down&size=25", "/?health=red", "/?q=company&risk=high", "/?group=csm", "/worklist",
    "/worklist?capacity=10&sort=loss&way=up", "/renewals?period=2027Q1", "/renewals?period=2027Q1&sort=arr&way=up",
    "/cohorts", "/cohorts?sort=arr&way=up", "/?as_of=2026-07-01", "/cohorts?as_of=2026-07-01",
]  # fmt: skip
ACCOUNTS = ["/accounts/a05", "/accounts/a%2Fb%20c%3Fd%23e", "/accounts/?id=..", "/accounts/a05/qbr", "/accounts/a05/qbr?edition=customer", "/accounts/a05/plan"]
PAGES = [*LISTS, *ACCOUNTS, "/model", "/reviews", "/alerts", "/alerts?sort=loss&way=up&q=company", "/interventions?state=all", "/churned", "/churned?as_of=2026-07-01", "/onboarding", "/onboarding?sort=day&way=up", "/trends?as_of=2026-07-01", "/trends", "/leadership?as_of=2026-07-01", "/leadership?as_of=2026-07-01&by=csm&margin=80"]


class _Tables(HTMLParser):
    """The marked tables of a page: the text of each row of their bodies. And all links to exports."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tables: dict[str, list[str]] = {}
        self.unmarked = 0
        self.links: list[str] = []
        self._name: str | None = None
        self._row: list[str] | None = None
        self._body = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "table":
            self._name = given.get("data-export")
            self.unmarked += self._name is None
            if self._name is not None:
                self.tables.setdefault(self._name, [])
        elif tag in ("tbody", "tfoot"):
            self._body = True
        elif tag == "thead":
            self._body = False
        elif tag == "tr" and self._body and self._name is not None:
            self._row = []
        elif tag == "a" and (given.get("href") or "").startswith("/exports/"):
            self.links.append(given["href"] or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "tr" and self._row is not None and self._name is not None:
            self.tables[self._name].append(" ".join(" ".join(self._row).split()))
            self._row = None
        elif tag == "table":
            self._name = None

    def handle_data(self, data: str) -> None:
        if self._row is not None:
            self._row.append(data)


def _page(client: TestClient, path: str) -> _Tables:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text[:500]
    return _Tables(answer.text)


def _csv(client: TestClient, href: str) -> list[dict[str, str]]:
    answer = client.get(href)
    assert answer.status_code == 200, answer.text[:500]
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def _xlsx(client: TestClient, href: str) -> list[list[Any]]:
    answer = client.get(href)
    assert answer.status_code == 200, answer.text[:500]
    assert "attachment" in answer.headers["content-disposition"]
    return CalamineWorkbook.from_filelike(io.BytesIO(answer.content)).get_sheet_by_index(0).to_python(skip_empty_area=False)


def _as_csv(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date) else str(value)


def _same(cell: str, value: Any) -> bool:
    if isinstance(value, float) and not isinstance(value, bool) and cell:
        return float(cell) == pytest.approx(value, rel=1e-12)
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return cell == f"'{value}"
    if isinstance(value, datetime) and len(cell) == 10:
        value = value.date()
    return cell == _as_csv(value)


@pytest.mark.parametrize("path", PAGES)
def test_every_table_has_both_files_with_the_same_cells(paged: TestClient, path: str) -> None:
    page = _page(paged, path)
    assert page.unmarked == 0
    hrefs = [link for link in dict.fromkeys(page.links) if link.partition("?")[0].split("/")[2].endswith(".csv")]
    names = {link.split("/")[2].removesuffix(".csv") for link in hrefs}
    assert names == set(page.tables)
    for href in hrefs:
        rows, sheet = _csv(paged, href), _xlsx(paged, href.replace(".csv", ".xlsx", 1))
        assert len(sheet) == len(rows) + 1, href
        for row, cells in zip(rows, sheet[1:], strict=True):
            assert all(_same(cell, value) for cell, value in zip(row.values(), cells, strict=True)), (href, row, cells)


def _shown(value: str, text: str) -> bool:
    """Whether a page's row shows a value in one of its formats."""
    try:
        number = float(value)
    except ValueError:
        found = {value, value[:1].upper() + value[1:], words.plain(value)}
        if re.fullmatch(r"\d{4}-\d\d-\d\d.*", value):
            found |= {words.day(value[:10])}
        return any(each in text for each in found)
    formats = {words.percent(number, n) for n in (0, 1)} | {words.number(number, n) for n in (0, 1, 2, 3, 4)}
    formats |= {words.signed(number, n) for n in (0, 1, 2)} | {words.short_money(number), words.days_ahead(number)}
    formats |= {words.signed(100 * number, 1)}
    return any(each in text for each in formats)


@pytest.mark.parametrize("path", [*LISTS, "/accounts/a05", "/model"])
def test_a_file_has_the_rows_of_the_page_in_its_order(paged: TestClient, path: str) -> None:
    page = _page(paged, path)
    for name, shown in page.tables.items():
        href = next(link for link in page.links if link.startswith(f"/exports/{name}.csv"))
        rows = _csv(paged, href)
        assert len(rows) >= len(shown) - 1, (name, "a total is not always exported")
        hidden = {"measure", "unit", "part", "words", "method", "target_bound", "play_overdue", "overdue", "expansion_ready"}
        for row, text in zip(rows, shown, strict=False):
            first = next((row[key] for key in ("name", "account_id", "title", "words", *row) if row.get(key)), "")
            assert name == "bridge" or _shown(first.removeprefix("'"), text), (name, first, text)
            values = {k: v for k, v in row.items() if v and k not in hidden and k.endswith(("arr", "probability", "at_risk", "score"))}
            assert all(_shown(value, text) for value in values.values()), (name, values, text)


def test_the_account_list_has_every_matching_account_as_the_json(paged: TestClient) -> None:
    page = _page(paged, "/?sort=risk&way=down&size=25")
    href = next(link for link in page.links if link.startswith("/exports/accounts.csv"))
    rows = _csv(paged, href)
    assert len(rows) == 39 > len(page.tables["accounts"]) == 25
    for row in rows[:5]:
        account = row["account_id"].removeprefix("'")
        if re.fullmatch(r"a\d\d", account):
            payload = paged.get(f"/v1/accounts/{account}/prediction", headers=EXACT).json()
            assert float(row["churn_probability"]) == pytest.approx(payload["churn"]["probability"])
            assert (float(row["health_score"]) if row["health_score"] else None) == pytest.approx(payload["health"]["score"])
            assert row["health_band"] == payload["health"]["band"]
    risks = [float(row["churn_probability"]) for row in rows if row["churn_probability"]]
    assert risks == sorted(risks, reverse=True)
    assert not any(row["churn_probability"] for row in rows[len(risks) :]), "unknown values come last"


@pytest.mark.parametrize(
    ("path", "name", "json_path", "key"),
    [
        ("/worklist?capacity=10", "worklist", "/v1/worklist?capacity=10", "accounts"),
        ("/renewals?period=2027Q1", "due", "/v1/renewals?period=2027Q1&limit=1000", "accounts"),
        ("/?as_of=2026-07-01", "kpis", "/v1/portfolio/measures?as_of=2026-07-01", "measures"),
        ("/cohorts", "accounts", "/v1/portfolio/cohorts?limit=1000", "lifetime.accounts"),
        ("/", "bands", "/v1/portfolio", "by_health_band"),
    ],
)
def test_a_file_has_the_rows_of_the_json(paged: TestClient, path: str, name: str, json_path: str, key: str) -> None:
    payload: Any = paged.get(json_path, headers=EXACT).json()
    for part in key.split("."):
        payload = payload[part]
    page = _page(paged, path)
    rows = _csv(paged, next(link for link in page.links if link.startswith(f"/exports/{name}.csv")))
    assert rows
    for row, expected in zip(rows, payload, strict=False):
        common = [field for field in row if field in expected and not isinstance(expected[field], dict | list)]
        assert len(common) >= 4
        for field in common:
            value = expected[field]
            cell = row[field]
            if value is None:
                assert cell == "", field
            elif isinstance(value, int | float) and not isinstance(value, bool):
                assert float(cell) == pytest.approx(value), field
            else:
                assert _same(cell, value[:10] if field.endswith("_at") else value), field


def test_the_filter_and_the_order_are_those_of_the_page(paged: TestClient) -> None:
    groups = paged.get("/v1/portfolio", headers=EXACT).json()["by_health_band"]
    band = max(groups, key=lambda each: int(each["accounts"]))["band"]
    page = _page(paged, f"/?health={band}&sort=arr&way=up")
    rows = _csv(paged, next(link for link in page.links if "accounts.csv" in link))
    assert rows
    assert {row["health_band"] for row in rows} == {band}
    arr = [float(row["arr"]) for row in rows if row["arr"]]
    assert arr == sorted(arr)


CHARTS = {
    "health-trend": ["/"],
    "bands": ["/"],
    "bridge": ["/leadership"],
    "health": [f"/accounts/a{place:02}" for place in range(5, 38)],
}


@pytest.mark.parametrize("name", list(CHARTS))
def test_a_chart_is_a_file_of_its_own(paged: TestClient, name: str) -> None:
    links = (link for path in CHARTS[name] for link in _page(paged, f"{path}?as_of=2026-07-01").links)
    _require_chart_files(paged, next(link for link in links if link.startswith(f"/exports/{name}.svg")))


def _require_chart_files(paged: TestClient, href: str) -> None:
    svg = paged.get(href)
    assert svg.headers["content-type"] == "image/svg+xml"
    assert "var(" not in svg.text
    assert re.match(r'<svg[^>]* width="[\d.]+" height="[\d.]+"', svg.text)
    png = paged.get(href.replace(".svg", ".png", 1))
    picture = Image.open(io.BytesIO(png.content))
    assert picture.size > (400, 150)
    assert len(picture.convert("RGB").getcolors(maxcolors=1_000_000) or []) > 3


def test_the_forecast_chart_has_the_amounts_of_the_page() -> None:
    amount = {"expected": 4_210_000.0, "interval": [3_850_000.0, 4_400_000.0]}
    svg = expected_arr_chart([{"figure": "Renewed", "tone": "good", "amount": amount}, {"figure": "Lost", "tone": "bad", "amount": None}])
    assert svg is not None
    assert "4.21M (3.85M to 4.40M)" in svg
    assert "Lost" not in svg, "unknown"
    assert expected_arr_chart([{"figure": "Lost", "tone": "bad", "amount": None}]) is None


def test_the_load_chart_has_each_csm_and_those_over_capacity() -> None:
    loads = [{"csm": "Ana <b>", "load": 1.25, "over": True, "accounts": 30}, {"csm": "Bo", "load": 0.5, "over": False, "accounts": 1}]
    svg = csm_load_chart(loads)
    assert svg is not None
    assert "Ana &lt;b&gt;" in svg
    assert "125%, 30 accounts" in svg
    assert "50%, 1 account" in svg
    assert svg.count("var(--bad)") == 1
    many = csm_load_chart([{**loads[1], "csm": f"csm-{place}"} for place in range(CSMS + 1)])
    assert many is not None
    assert f"the {CSMS} CSMs with the largest" in many
    assert f"csm-{CSMS}" not in many
    assert csm_load_chart([]) is None


def test_the_kpi_chart_has_the_first_and_last_value_of_each_kpi_known_at_two_dates() -> None:
    kpis = [
        {"title": "Net revenue retention", "unit": "share", "values": [1.163, None, 1.187]},
        {"title": "NPS", "unit": "points", "values": [None, None, 15.9]},
        {"title": "Constant", "unit": "accounts", "values": [3.0, 3.0, 3.0]},
    ]
    dates = ["2026-07-01", "2026-09-02", "2026-09-30T12:00:00+00:00"]
    svg = kpi_trend_chart(dates, kpis)
    assert svg is not None
    assert "116.3% → 118.7%" in svg
    assert "3 → 3" in svg
    assert "NPS" not in svg, "known at one date"
    assert words.day("2026-07-01") in svg
    assert kpi_trend_chart(dates[:1], [{**kpis[0], "values": [1.163]}]) is None


def test_no_bands_are_no_chart() -> None:
    assert health_bands_chart([{"band": "green", "accounts": 0}]) is None


def test_an_export_that_a_page_lacks_is_not_found(paged: TestClient) -> None:
    for path in ("/exports/nothing.csv/", "/exports/accounts.pdf/", "/exports/accounts.svg/worklist", "/exports/x.csv/accounts/unlisted"):
        assert paged.get(path, headers=EXACT).status_code == 404, path
    assert paged.get("/exports/accounts.csv/?nothing=1", headers=EXACT).status_code == 422


FILTERS = {"csm": "csm-x", "segment": "no such", "region": "nowhere", "product": "nothing", "parent": "no-parent", "health": "purple", "risk": "huge"}
FILTERED = {
    "bands.csv/": "/v1/portfolio",
    "groups.xlsx/": "/v1/portfolio/groups",
    "bands.svg/": "/v1/portfolio",
    "accounts.csv/cohorts": "/v1/portfolio/cohorts",
    "worklist.csv/worklist": "/v1/worklist",
    "due.xlsx/renewals": "/v1/renewals",
    "alerts.csv/alerts": "/v1/alerts/active",
    "interventions.csv/interventions": "/v1/interventions",
    "by-play.csv/interventions": "/v1/interventions:results",
    "kpis.csv/trends": "/v1/portfolio/measures/trend",
    "churned.csv/churned": "/v1/portfolio/churned",
    "onboarding.csv/onboarding": "/v1/onboarding",
    "groups.csv/leadership": "/v1/portfolio/leadership",
    "leadership.pptx/leadership": "/v1/portfolio/leadership/file",
}


@pytest.mark.parametrize("export", list(FILTERED))
def test_an_unknown_value_of_the_filter_is_refused_as_by_the_api(paged: TestClient, export: str) -> None:
    for name, value in FILTERS.items():
        refusals = [paged.get(path, params={name: value}, headers=EXACT) for path in (f"/exports/{export}", FILTERED[export])]
        assert [each.status_code for each in refusals] == [422, 422], name
        found, of_the_api = (each.json() for each in refusals)
        assert found["detail"] == of_the_api["detail"], name
        page = paged.get(f"/{export.partition('/')[2]}", params={name: value})
        assert page.status_code == (200 if name not in ("health", "risk") else 422), "a page says that nothing matches"


def test_exports_need_the_scope_of_their_page(paged: TestClient) -> None:
    stranger = TestClient(paged.app, client=("203.0.113.9", 1))
    assert stranger.get("/exports/accounts.csv/", headers=EXACT).status_code == 401


def test_text_in_a_csv_file_is_no_formula() -> None:
    rows = [{"x": "=1+1"}, {"x": "-2"}, {"x": "@a"}, {"x": "a=b"}, {"x": None}]
    table = ExportTable("t", [ExportColumn("x", "X")], rows)
    assert csv_text(table).splitlines() == ["x", "'=1+1", "'-2", "'@a", "a=b", '""']
    numbers = ExportTable("t", [ExportColumn("x", "X", "number")], [{"x": -2.5}])
    assert csv_text(numbers).splitlines() == ["x", "-2.5"]


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_an_end_of_a_line_within_a_value_begins_no_row(end: str) -> None:
    rows = [{"x": f"a{end}b"}, {"x": f"{end}c"}]
    text = csv_text(ExportTable("t", [ExportColumn("x", "X")], rows))
    assert list(csv.reader(io.StringIO(text, newline=""))) == [["x"], [f"a{end}b"], [f"{'' if end == chr(10) else chr(39)}{end}c"]]


def test_a_hostile_name_stays_text(paged: TestClient) -> None:
    page = _page(paged, "/?sort=account&size=100")
    rows = _csv(paged, next(link for link in page.links if "accounts.csv" in link))
    assert EVIL in {row["account_id"] for row in rows}
    assert html.unescape(json.loads(json.dumps(rows[0]["account_id"]))) == rows[0]["account_id"]


def test_published_probabilities_are_a_table_and_a_chart_with_gaps() -> None:
    scored = {"as_of": "2026-07-01", "churn": {"probability": 0.25, "interval": [0.1, 0.4]}, "expansion": {"probability": 0.5, "interval": [0.3, 0.7]}, "health_score": 60.0, "replaced": ["churn_model"]}
    unscored = {"as_of": "2026-07-08", "churn": {"probability": None, "interval": None}, "expansion": {"probability": None, "interval": None}, "health_score": None, "replaced": []}
    assert csv_text(ExportTable("t", TREND, [scored, unscored])).splitlines()[1:] == [
        "2026-07-01,0.25,0.1,0.4,0.5,0.3,0.7,60.0,churn_model",
        "2026-07-08,,,,,,,,",
    ]
    svg = standalone_svg(probability_trend_chart([scored, {**scored, "as_of": "2026-07-15"}, unscored]))
    assert "var(" not in svg
    assert "#cb382c" in svg


def test_a_standalone_chart_has_colors_and_a_size() -> None:
    svg = '<svg viewBox="0 0 10 5"><path stroke="var(--good)"/></svg>'
    assert standalone_svg(svg) == (
        '<svg viewBox="0 0 10 5" width="10" height="5"><rect width="10" height="5" fill="#ffffff"/><path stroke="#1c7f4e"/></svg>'
    )


PRINTED = (
    *("/", "/worklist", "/alerts", "/interventions?state=all", "/renewals?period=2027Q1", "/cohorts", "/accounts/a05", "/model", "/reviews"),
    *("/trends?as_of=2026-07-01", "/leadership?as_of=2026-07-01", "/churned?as_of=2026-07-01"),
    *(report_href("a05", report, edition) for report in ("qbr", "plan") for edition in ({}, {"edition": "customer"})),
)


@pytest.mark.parametrize("path", PRINTED)
def test_a_printed_page_has_every_column_and_no_controls(visit: Any, live: str, path: str) -> None:
    opened = visit(live, viewport={"width": 1032, "height": 720})
    opened.open(path)
    opened.page.emulate_media(media="print")
    wide = "[...document.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth).map(e => e.outerHTML.slice(0, 90))"
    assert opened.sideways == 0, opened.page.evaluate(wide)
    cut = "[...document.querySelectorAll('.scroll, table, .two')].filter(e => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX !== 'visible').length"
    assert opened.page.evaluate(cut) == 0
    # Columns of forms and of small charts have nothing to print.
    hidden = "[...document.querySelectorAll('th:not(.screen-only)')].filter(e => e.closest('details') === null && e.getClientRects().length === 0).length"
    assert opened.page.evaluate(hidden) == 0
    controls = "[...document.querySelectorAll('form:not(.when), button, .downloads, .pager, .top')].filter(e => e.getClientRects().length > 0).length"
    assert opened.page.evaluate(controls) == 0
