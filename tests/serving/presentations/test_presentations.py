"""Presentations show the figures of the commands, say what is unknown, and can be edited."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pptx import Presentation
from pptx.util import Inches
from python_calamine import CalamineWorkbook

from features.signals.signals import OpenSignals
from features.utils.formatting import number, percent, short_money
from features.utils.periods import calendar_period
from models.artifacts.champion import load_champion
from models.home import Home
from models.predictions.assessment import Assessment
from serving.account_reports.business_review import build_review
from serving.account_reports.editions import edition_of
from serving.account_reports.facts_from_signals import account_facts_from_signals
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.presentations.account_report import report_deck
from serving.presentations.leadership import leadership_deck
from serving.presentations.leadership_figures import LeadershipFigures, leadership_figures
from serving.presentations.slides import BOTTOM, UNKNOWN, Box, Deck, Series, TableColumn, table_height
from serving.scoring.score_portfolio import assess_portfolio

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
EVIL = "=1+1 <b>&\x07"


def _read(deck: Deck, place: Path) -> Any:
    deck.save(place)
    return Presentation(str(place))


def _titles(deck: Any) -> list[str]:
    return [slide.shapes.title.text_frame.text for slide in deck.slides]


def _tables(slide: Any) -> list[list[list[str]]]:
    return [[[cell.text for cell in row.cells] for row in shape.table.rows] for shape in slide.shapes if shape.has_table]


def _charts(slide: Any) -> list[Any]:
    return [shape.chart for shape in slide.shapes if shape.has_chart]


def _texts(deck: Any) -> str:
    return "\n".join(
        [shape.text_frame.text for slide in deck.slides for shape in slide.shapes if shape.has_text_frame]
        + [cell for slide in deck.slides for table in _tables(slide) for row in table for cell in row]
    )


def _notes(deck: Any) -> list[str]:
    return [slide.notes_slide.notes_text_frame.text for slide in deck.slides]


@pytest.fixture(scope="module")
def assessed(scored_home: Any, signals: OpenSignals) -> Assessment:
    return assess_portfolio(signals, AS_OF, scored_home.home, load_champion(scored_home.home))[0]


@pytest.fixture(scope="module")
def figures(scored_home: Any, signals: OpenSignals, assessed: Assessment) -> LeadershipFigures:
    return leadership_figures(signals, assessed, scored_home.home, load_champion(scored_home.home), {})


@pytest.fixture(scope="module")
def leadership(figures: LeadershipFigures, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return _read(leadership_deck(figures), tmp_path_factory.mktemp("deck") / "deck.pptx")


@pytest.fixture(scope="module")
def review(scored_home: Any, tables: Any, make_signals: Callable[..., OpenSignals]) -> dict[str, Any]:
    rows = [row | {"name": EVIL} if row["account_id"] == "a00" else row for row in tables["accounts"]]
    opened = make_signals(tables | {"accounts": rows}, "2026-07-01")
    period, champion = calendar_period("2026Q2"), load_champion(scored_home.home)
    facts = account_facts_from_signals(opened, "a00", period, AS_OF, scored_home.home, champion)
    return build_review(facts, period, "2026Q2")


def test_slides_are_wide_and_nothing_leaves_them(leadership: Any) -> None:
    assert (leadership.slide_width, leadership.slide_height) == (Inches(13.333), Inches(7.5))
    for slide in leadership.slides:
        for shape in slide.shapes:
            assert shape.left >= 0, slide.shapes.title.text_frame.text
            assert shape.left + shape.width <= leadership.slide_width
            assert shape.top + shape.height <= leadership.slide_height


def test_every_slide_has_a_title_and_names_its_source(leadership: Any) -> None:
    assert all(_titles(leadership))
    assert all("Source: " in text and "2026-07-01" in text for text in _notes(leadership))
    assert all("renewcast" in text for text in _notes(leadership))


def test_the_summary_shows_the_kpis_of_the_command(leadership: Any, figures: LeadershipFigures) -> None:
    measures = {each["title"]: each for each in figures.kpis["measures"]}
    (table,) = _tables(leadership.slides[1])
    assert len(table) > 8
    for title, now, *_ in table[1:]:
        each = measures[title]
        if each["value"] is None:
            assert now == UNKNOWN
        elif each["unit"] == "share":
            assert now == percent(each["value"])


def test_charts_hold_the_figures_as_data_that_can_be_edited(leadership: Any, figures: LeadershipFigures) -> None:
    charts = {chart.chart_title.text_frame.text: chart for slide in leadership.slides for chart in _charts(slide)}
    weeks = charts["Accounts by health band and week"]
    drawn = {series.name: list(series.values) for series in weeks.plots[0].series}
    assert drawn == {band: [week[band] for week in figures.weeks] for band in ("green", "yellow", "red")}
    book = CalamineWorkbook.from_filelike(BytesIO(weeks.part.chart_workbook.xlsx_part.blob))
    assert book.get_sheet_by_index(0).to_python()[0][1:] == ["green", "yellow", "red"]
    segments = next(chart for title, chart in charts.items() if "by segment" in title)
    expected = [each["expected_churned_arr"] for each in figures.summary["by_segment"] if each["accounts"]]
    assert list(segments.plots[0].series[0].values) == pytest.approx([each for each in expected if each is not None])


def test_the_accounts_with_the_largest_arr_at_risk_come_first(leadership: Any, figures: LeadershipFigures, assessed: Assessment) -> None:
    at_risk = [each["arr_at_risk"] for each in figures.risks]
    assert at_risk == sorted(at_risk, reverse=True)
    arr = assessed.frame.set_index("account_id")["contract.arr"]
    assert at_risk[0] == pytest.approx((assessed.target_scores["churn"].probability * arr).max())
    table = next(table for slide in leadership.slides for table in _tables(slide) if table[0][0] == "Account")
    assert [row[6] for row in table[1:]] == [short_money(value) for value in at_risk]


def test_the_service_gives_the_presentation_of_the_command(own_home: Home, leadership: Any) -> None:
    """From a published snapshot, without signals, on the page and in the API."""
    with TestClient(create_app(own_home, ServiceSettings(open_locally=True)), client=("127.0.0.1", 1)) as client:
        for path in ("/v1/portfolio/leadership/file", "/exports/leadership.pptx/leadership"):
            answer = client.get(path)
            assert answer.status_code == 200, answer.text
            assert answer.headers["content-disposition"] == 'attachment; filename="leadership-2026-07-01.pptx"'
            served = Presentation(BytesIO(answer.content))
            assert _texts(served) == _texts(leadership)
            assert _notes(served) == _notes(leadership)
        assert "/exports/leadership.pptx/leadership" in client.get("/leadership", headers={"Accept": "text/html"}).text
        chosen = Presentation(BytesIO(client.get("/v1/portfolio/leadership/file?health=green").content))
        assert "Only accounts with" in _texts(chosen)
        # No red account has a CSM, so one chart has no data.
        few = Presentation(BytesIO(client.get("/v1/portfolio/leadership/file?health=red").content))
        assert "Load of CSMs, largest first; 100% is full: no data." in _texts(few)
        assert client.get("/v1/portfolio/leadership/file?csm=unknown").status_code == 422
        assert client.get("/v1/portfolio/leadership/file?as_of=2026-06-01").status_code == 404, "without stored KPIs"


@pytest.mark.parametrize("name", ["bridge", "quarter_bridge"])
def test_the_bridges_add_up_and_are_on_slides(figures: LeadershipFigures, leadership: Any, name: str) -> None:
    first, *between, last = figures.report[name]["steps"]
    assert first["arr"] + sum(each["sign"] * each["arr"] for each in between) == pytest.approx(last["arr"], abs=0.005)
    assert last["arr"] == pytest.approx(figures.summary["whole"]["arr"])
    words = "in 12 months" if name == "bridge" else "in the last quarter"
    slide = next(slide for slide in leadership.slides if words in slide.shapes.title.text_frame.text)
    table = _tables(slide)[0]
    assert (table[1][1], table[-1][1]) == (short_money(first["arr"]), short_money(last["arr"]))


def _unknown_report(report: Any) -> dict[str, Any]:
    bridge = report["bridge"] | {"steps": None, "change": None, "unknown": "the ARR of 3 accounts is unknown"}
    whole = report["economics"]["whole"] | {"lifetime_value": None}
    return {
        **report,
        "bridge": bridge,
        "quarter_bridge": bridge,
        "capacity": report["capacity"] | {"by_csm": [], "unknown": "the accounts have no csm"},
        "economics": report["economics"] | {"whole": whole, "by_segment": []},
    }


def test_an_unknown_figure_is_called_unknown_and_is_never_zero(figures: LeadershipFigures, tmp_path: Path) -> None:
    group = dict.fromkeys(figures.summary["whole"]) | {"accounts": 3, "arr_unknown": 3, "health_unknown": 3, "churn_unknown": 3}
    group["expected_churned_arr_unknown"] = 3
    nothing = {"value": None, "numerator": None, "denominator": None, "left_out": 3, "unknown": "the source has no terms"}
    measures = [each | nothing | {"last": nothing, "quarter": nothing, "met": None} for each in figures.kpis["measures"]]
    blind = replace(
        figures,
        summary=figures.summary | {"whole": group, "by_segment": [group | {"segment": None}], "expansion_ready": 0},
        kpis=figures.kpis | {"measures": measures, "by": {"segment": []}},
        weeks=figures.weeks[:1],
        forecast=None,
        no_forecast="signals without subscriptions have no renewals",
        report=_unknown_report(figures.report),
        losses={"year": [], "quarter": []},
        risks=[],
        expansions=[],
    )
    deck = _read(leadership_deck(blind), tmp_path / "x.pptx")
    titles = " | ".join(_titles(deck))
    for words in ("What changed in 12 months: unknown", "Capacity of CSMs: unknown", "Lifetime value: unknown"):
        assert words in titles
    for words in ("is unknown: the source has no terms", "Top risks: unknown", "Renewal forecast: unknown", "Health by week: unknown"):
        assert words in titles
    assert {row[1] for row in _tables(deck.slides[1])[0][1:]} == {UNKNOWN}
    for slide in deck.slides:
        for chart in _charts(slide):
            assert {value for series in chart.plots[0].series for value in series.values} <= {None}
    assert "signals without subscriptions have no renewals" in _texts(deck)


def test_a_gap_in_a_chart_stays_a_gap(tmp_path: Path) -> None:
    deck = Deck("x", "x")
    deck.add("x", "x").chart("line", ["a", "b", "c"], [Series("s", [1.0, None, float("nan")])], Box(), title="t")
    (chart,) = _charts(_read(deck, tmp_path / "x.pptx").slides[0])
    assert list(chart.plots[0].series[0].values) == [1.0, None, None]


def test_a_long_table_is_smaller_and_stays_on_the_slide(tmp_path: Path) -> None:
    columns = [TableColumn("a"), TableColumn("b")]
    rows = [["word " * 20, "x"]] * 9
    deck = Deck("x", "x")
    end = deck.add("x", "x").table(columns, rows, Box(), size=16)
    assert table_height(columns, rows, Box().width, 16) > BOTTOM - Box().top
    assert end <= BOTTOM
    sizes = {
        paragraph.font.size.pt
        for shape in _read(deck, tmp_path / "x.pptx").slides[0].shapes
        if shape.has_table
        for row in shape.table.rows
        for cell in row.cells
        for paragraph in cell.text_frame.paragraphs
    }
    assert len(sizes) == 1
    assert sizes < set(range(9, 16))


def test_the_edition_for_the_customer_has_nothing_internal(review: dict[str, Any], tmp_path: Path) -> None:
    customer = _read(report_deck(edition_of(review, "customer")), tmp_path / "customer.pptx")
    internal = _read(report_deck(review), tmp_path / "internal.pptx")
    assert any("(internal)" in title for title in _titles(internal))
    assert {"Open questions", "Missing information"} <= set(_titles(internal))
    everything = _texts(customer) + "\n".join(_notes(customer))
    hidden = [part for part in review["sections"] if part["internal"]]
    for text in (
        *(part["title"] for part in hidden),
        *(item["text"] for part in hidden for item in part["items"]),
        *(each["feature"] for part in review["sections"] for each in (*part["metrics"], *part["figures"]) if each["feature"]),
        *review["questions"], *review["gaps"], "internal", "churn", "Unknown",
    ):  # fmt: skip
        assert text not in everything, text
    for part in review["sections"]:
        if not part["internal"]:
            for figure in (*part["figures"], *part["metrics"]):
                assert figure.get("internal") or figure["words"] in everything


def test_a_review_is_plain_text_and_its_chart_has_the_weeks(review: dict[str, Any], tmp_path: Path) -> None:
    deck = _read(report_deck(edition_of(review, "customer")), tmp_path / "x.pptx")
    assert _titles(deck)[0] == "=1+1 <b>&\\x07"
    (chart,) = (chart for slide in deck.slides for chart in _charts(slide))
    points = next(part["picture"]["points"] for part in review["sections"] if part["picture"] and not part["internal"])
    assert list(chart.plots[0].series[0].values) == [point["users"] for point in points]
    assert number(points[-1]["users"]) != "–"
