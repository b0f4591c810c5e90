"""A total has one value in every page, response, command, export and presentation of the same home."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient
from pptx import Presentation
from python_calamine import CalamineWorkbook
from typer.testing import CliRunner

import renewcast
from features.signals.signals import OpenSignals
from features.utils.formatting import count_of, number, percent, short_money
from models.health.rubric import load_rubric
from models.home import Home, current_home
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.portfolio.publish_kpis import publish_kpis
from serving.schemas.interventions import InterventionRequest
from serving.scoring.score_portfolio import score
from serving.snapshots.snapshot_files import SnapshotFiles
from serving.store.database import Store
from serving.store.records import Author
from serving.worklist.intervention_changes import start_intervention
from tests.serving.conftest import AS_OF, EARLIER, HISTORY_FROM, Champions, Tables, publish, with_renewals

DOCUMENT = Path("docs/reference/totals.md")


@dataclass(frozen=True)
class Everywhere:
    """All places that show figures of one home, read once.

    Parameters
    ----------
    api : returns the JSON of a path.
    page : returns the text of a page, without tags and with single spaces.
    export : returns the rows of a CSV file of a page.
    command : returns what a command prints with --json.
    chart : returns a chart of a page as SVG.
    file : returns the content of a file that a command writes, by its ending.
    slides : the text of the leadership presentation.
    scored : returns the rows of the file that `renewcast score` writes.
    """

    api: Callable[[str], Any]
    page: Callable[[str], str]
    export: Callable[[str, str], list[dict[str, str]]]
    chart: Callable[[str, str], str]
    command: Callable[..., Any]
    file: Callable[..., bytes]
    slides: Callable[[], str]
    scored: Callable[[], list[dict[str, str]]]


def _with_expansions(tables: Tables) -> Tables:
    """Accounts that fulfill the criteria of an expansion: people to talk to, hiring and a good NPS."""
    ids = [row["account_id"] for row in tables["accounts"]]
    people = [
        {"account_id": account, "contact_id": role, "occurred_at": HISTORY_FROM, "role": role, "event": "joined"}
        for account in ids
        for role in ("executive_sponsor", "decision_maker")
    ]
    hiring = [
        {"account_id": account, "occurred_at": at, "kind": "hiring"}
        for account in ids
        for at in (HISTORY_FROM, "2026-06-01")
    ]
    nps = [{"account_id": each, "occurred_at": "2026-06-29", "kind": "nps", "value": 9.0} for each in ("a28", "a34")]
    return tables | {"relationship": people, "company": hiring, "outcomes": [*tables["outcomes"], *nps]}


@pytest.fixture(scope="module")
def everywhere(
    champions: Champions,
    tables: Tables,
    make_signals: Callable[..., OpenSignals],
    to_arrow: Callable[[str, list[dict[str, Any]]], pa.Table],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Everywhere]:
    place = tmp_path_factory.mktemp("totals")
    rows, folder, home = _with_expansions(with_renewals(tables)), place / "signals", Home(place / "home")
    folder.mkdir()
    for name, content in rows.items():
        pq.write_table(to_arrow(name, content), folder / f"{name}.parquet")
    signals = make_signals(rows, "2026-07-01")
    champions.promote(home, "1", expansion_rate=0.2)
    score(signals, AS_OF, place / "rows.csv", home)
    snapshots = SnapshotFiles(home)
    publish_kpis(signals, snapshots, AS_OF, snapshots.at(AS_OF).frame, load_rubric(), 90)
    publish(home, champions.frame.assign(**{"outcomes.nps_last": 2.0}), EARLIER)
    store = Store.of(home)
    for account in ("a14", "a20"):
        running = {"account_id": account, "occurred_at": "2026-07-01T00:00:00Z", "play": "low_adoption"}
        start_intervention(store, Author("k", "a person"), InterventionRequest.model_validate(running))
    with TestClient(create_app(home, ServiceSettings(open_locally=True)), client=("127.0.0.1", 1)) as client:

        @cache
        def api(path: str) -> Any:
            answer = client.get(path)
            assert answer.status_code == 200, (path, answer.text)
            return answer.json()

        @cache
        def page(path: str) -> str:
            answer = client.get(path, headers={"Accept": "text/html"})
            assert answer.status_code == 200, path
            return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", answer.text)))

        @cache
        def export(name: str, path: str) -> list[dict[str, str]]:
            answer = client.get(f"/exports/{name}.csv{path}")
            assert answer.status_code == 200, (name, path)
            return list(csv.DictReader(io.StringIO(answer.text)))

        def chart(name: str, path: str) -> str:
            assert f"/exports/{name}.png{path}" in html.unescape(client.get(path, headers={"Accept": "text/html"}).text)
            assert client.get(f"/exports/{name}.png{path}").content.startswith(b"\x89PNG")
            return client.get(f"/exports/{name}.svg{path}").text

        def run(*arguments: str) -> str:
            current_home.cache_clear()
            name, *more = arguments
            asked = [
                name,
                *([str(folder), "--as-of", "2026-07-01"] if name not in ("trends", "churned", "interventions") else []),
                *more,
            ]
            result = CliRunner().invoke(renewcast.app, asked, env={"RENEWCAST_HOME": str(home.root)})
            assert result.exit_code == 0, (asked, result.output, result.exception)
            return result.stdout

        @cache
        def command(*arguments: str) -> Any:
            return json.loads(run(*arguments, "--json"))

        def file(ending: str, *arguments: str) -> bytes:
            out = place / f"written{ending}"
            run(*arguments, "--out", str(out))
            return out.read_bytes()

        @cache
        def slides() -> str:
            deck = Presentation(BytesIO(client.get("/v1/portfolio/leadership/file").content))
            shapes = [shape for slide in deck.slides for shape in slide.shapes]
            texts = [shape.text_frame.text for shape in shapes if shape.has_text_frame]
            cells = [cell.text for shape in shapes if shape.has_table for row in shape.table.rows for cell in row.cells]
            return " ".join([*texts, *cells])

        def scored() -> list[dict[str, str]]:
            with (place / "rows.csv").open(encoding="utf-8", newline="") as rows_of_file:
                return list(csv.DictReader(rows_of_file))

        yield Everywhere(api, page, export, chart, command, file, slides, scored)


Value = Callable[[Everywhere], float]
Words = Callable[[float], str]


@dataclass(frozen=True)
class Total:
    """A total and where it appears.

    Parameters
    ----------
    values : returns the value in each response, command and export.
    pages : the words that each page, or the presentation, shows for the value.
    """

    values: Mapping[str, Value]
    pages: Mapping[str, Words]


def _sum(rows: list[Mapping[str, Any]], name: str) -> float:
    return float(sum(float(row[name] or 0.0) for row in rows))


def _step(report: Mapping[str, Any], name: str) -> float:
    (step,) = (each for each in report["bridge"]["steps"] if each["step"] == name)
    return float(step["arr"])


def _kpi(measures: list[Mapping[str, Any]], code: str) -> float:
    (found,) = (each for each in measures if each["measure"] == code)
    return float(found["value"])


LEADERSHIP = "/v1/portfolio/leadership"


def _whole(name: str, *, groups: bool = True) -> dict[str, Value]:
    """The places that show a figure of all active accounts."""
    places: dict[str, Value] = {
        "`GET /v1/portfolio`": lambda all_: all_.api("/v1/portfolio")["whole"][name],
        "`GET /v1/portfolio/changes`": lambda all_: all_.api("/v1/portfolio/changes")["now"][name],
        "`renewcast changes`": lambda all_: all_.command("changes", "--since", "2026-06-01")["now"][name],
    }
    if groups:
        places |= {
            "`GET /v1/portfolio/groups`": lambda all_: _sum(all_.api("/v1/portfolio/groups?by=csm")["groups"], name),
            "`renewcast portfolio`": lambda all_: _sum(all_.command("portfolio")["groups"]["region"], name),
        }
    return places


def _retention(code: str, title: str) -> Total:
    return Total(
        {
            "`GET /v1/portfolio/measures`": lambda all_: _kpi(
                all_.api("/v1/portfolio/measures?period=year")["measures"], code
            ),
            "`GET /v1/portfolio/measures/trend`": lambda all_: next(
                each["values"][-1]
                for each in all_.api("/v1/portfolio/measures/trend")["measures"]
                if each["measure"] == code
            ),
            "`GET /v1/portfolio/leadership`": lambda all_: _kpi(all_.api(LEADERSHIP)["retention"], code),
            "`renewcast portfolio`": lambda all_: _kpi(all_.command("portfolio")["measures"], code),
            "`renewcast trends`": lambda all_: next(
                each["values"][-1] for each in all_.command("trends")["measures"] if each["measure"] == code
            ),
            "`renewcast leadership`": lambda all_: _kpi(all_.command("leadership")["retention"], code),
            "`kpis.csv` of `/`": lambda all_: _kpi(all_.export("kpis", "/"), code),
            "`kpis.csv` of `/leadership`": lambda all_: _kpi(all_.export("kpis", "/leadership"), code),
        },
        {
            "page `/`": lambda value: f"{title} {percent(value)}",
            "page `/leadership`": lambda value: f"{title} {percent(value)}",
            "page `/trends`": percent,
            "presentation": lambda value: f"{title} {percent(value)}",
        },
    )


TOTALS: Mapping[str, Total] = {
    "Active accounts": Total(
        {
            **_whole("accounts"),
            "`GET /v1/portfolio/leadership`": lambda all_: all_.api(LEADERSHIP)["capacity"]["accounts"],
            "`renewcast leadership`": lambda all_: all_.command("leadership")["capacity"]["accounts"],
            "`accounts.csv` of `/`": lambda all_: len(all_.export("accounts", "/")),
            "`capacity.csv` of `/leadership`": lambda all_: _sum(all_.export("capacity", "/leadership"), "accounts"),
        },
        {
            "page `/`": lambda value: f"Accounts {number(value)}",
            "page `/trends`": lambda value: f"Accounts {number(value)}",
            "presentation": lambda value: count_of(int(value), "active account"),
        },
    ),
    "ARR": Total(
        {
            **_whole("arr"),
            "`GET /v1/portfolio/leadership`": lambda all_: _step(all_.api(LEADERSHIP), "arr_end"),
            "`renewcast leadership`": lambda all_: _step(all_.command("leadership"), "arr_end"),
            "`accounts.csv` of `/`": lambda all_: _sum(all_.export("accounts", "/"), "arr"),
            "`bridge.csv` of `/leadership`": lambda all_: float(all_.export("bridge", "/leadership")[-1]["arr"]),
        },
        {
            "page `/`": lambda value: f"{short_money(value)} ARR",
            "page `/trends`": lambda value: f"ARR {short_money(value)}",
            "page `/leadership`": lambda value: f"ARR {short_money(value)}",
            "presentation": lambda value: f"ARR {short_money(value)}",
        },
    ),
    "ARR at risk": Total(
        {
            **_whole("expected_churned_arr"),
            "`GET /v1/worklist`": lambda all_: all_.api("/v1/worklist")["bridge"]["portfolio"],
            "`GET /v1/renewals`": lambda all_: all_.api("/v1/renewals")["bridge"]["arr_at_risk"],
            "`renewcast worklist`": lambda all_: all_.command("worklist")["bridge"]["portfolio"],
            "`renewcast renewals`": lambda all_: all_.command("renewals")["bridge"]["arr_at_risk"],
            "`accounts.csv` of `/`": lambda all_: _sum(all_.export("accounts", "/"), "arr_at_risk"),
        },
        {
            "page `/`": lambda value: f"ARR at risk {short_money(value)}",
            "page `/trends`": lambda value: f"ARR at risk {short_money(value)}",
            "page `/worklist`": lambda value: f"Whole portfolio, within 90 days {short_money(value)}",
            "page `/renewals`": lambda value: (
                f"ARR at risk of the whole portfolio, within 90 days {short_money(value)}"
            ),
            "presentation": lambda value: f"ARR at risk within 90 days: {short_money(value)}",
        },
    ),
    "Expected churned accounts": Total(
        _whole("expected_churned_accounts"),
        {
            "page `/`": lambda value: f"Expected churned accounts {number(value, 1)}",
            "presentation": lambda value: f"expected churned accounts: {number(value, 1)}",
        },
    ),
    "Mean health": Total(
        {
            **_whole("mean_health", groups=False),
            "`GET /v1/portfolio/measures`": lambda all_: _kpi(
                all_.api("/v1/portfolio/measures?period=year")["measures"], "mean_health"
            ),
            "`renewcast portfolio`": lambda all_: _kpi(all_.command("portfolio")["measures"], "mean_health"),
            "`kpis.csv` of `/`": lambda all_: _kpi(all_.export("kpis", "/"), "mean_health"),
        },
        {
            "page `/`": lambda value: f"Mean health {number(value, 1)}",
            "page `/trends`": lambda value: f"Mean health {number(value, 1)}",
            "presentation": lambda value: f"Mean health score: {number(value, 1)} of 100",
        },
    ),
    "Ready for expansion": Total(
        {
            "`GET /v1/portfolio`": lambda all_: all_.api("/v1/portfolio")["expansion_ready"],
            "`GET /v1/portfolio/groups`": lambda all_: _sum(
                all_.api("/v1/portfolio/groups?by=csm")["groups"], "expansion_ready"
            ),
            "`renewcast portfolio`": lambda all_: _sum(all_.command("portfolio")["groups"]["region"], "expansion_ready"),
            "`renewcast expansions`": lambda all_: _sum(all_.command("expansions")["accounts"], "proposed"),
            "`renewcast score`": lambda all_: sum(row["expansion_ready"] == "true" for row in all_.scored()),
            "`accounts.csv` of `/`": lambda all_: sum(
                row["expansion_ready"] == "true" for row in all_.export("accounts", "/")
            ),
            "`accounts.csv` of `/?only=ready`": lambda all_: len(all_.export("accounts", "/?only=ready")),
        },
        {
            "page `/`": lambda value: f"Ready for expansion {number(value)}",
            "page `/?only=ready`": lambda value: f"Accounts {number(value)} of ",
            "presentation": lambda value: f"{count_of(int(value), 'account')} ready for expansion",
        },
    ),
    "Net revenue retention": _retention("nrr", "Net revenue retention"),
    "Gross revenue retention": _retention("grr", "Gross revenue retention"),
    "Logo retention": _retention("logo_retention", "Logo retention"),
    "Churned ARR, 12 months": Total(
        {
            "`GET /v1/portfolio/leadership`": lambda all_: _step(all_.api(LEADERSHIP), "churned"),
            "`GET /v1/portfolio/measures`": lambda all_: next(
                each["numerator"]
                for each in all_.api("/v1/portfolio/measures?period=year")["measures"]
                if each["measure"] == "arr_churn_year"
            ),
            "`GET /v1/portfolio/churned`": lambda all_: all_.api("/v1/portfolio/churned")["churned_arr"],
            "`renewcast churned`": lambda all_: all_.command("churned")["churned_arr"],
            "`churned.csv` of `/churned`": lambda all_: _sum(all_.export("churned", "/churned"), "arr"),
            "`by-reason.csv` of `/churned`": lambda all_: _sum(all_.export("by-reason", "/churned"), "arr"),
            "`renewcast leadership`": lambda all_: _step(all_.command("leadership"), "churned"),
            "`renewcast portfolio`": lambda all_: next(
                each["numerator"]
                for each in all_.command("portfolio")["measures"]
                if each["measure"] == "arr_churn_year"
            ),
            "`bridge.csv` of `/leadership`": lambda all_: next(
                float(row["arr"]) for row in all_.export("bridge", "/leadership") if row["step"] == "churned"
            ),
        },
        {
            "page `/leadership`": lambda value: f"−{short_money(value)}",
            "page `/churned`": lambda value: f"Churned ARR {short_money(value)}",
            "presentation": short_money,
        },
    ),
    "Accounts in onboarding": Total(
        {
            "`GET /v1/onboarding`": lambda all_: all_.api("/v1/onboarding")["onboarding_accounts"],
            "`renewcast onboarding`": lambda all_: len(all_.command("onboarding")["accounts"]),
            "`onboarding.csv` of `/onboarding`": lambda all_: len(all_.export("onboarding", "/onboarding")),
        },
        {"page `/onboarding`": lambda value: f"In onboarding {number(value)}"},
    ),
    "Renewals due, 90 days": Total(
        {
            "`GET /v1/renewals`": lambda all_: all_.api("/v1/renewals")["whole"]["accounts"],
            "`GET /v1/portfolio/leadership`": lambda all_: all_.api(LEADERSHIP)["forecast"]["due"]["accounts"],
            "`GET /v1/portfolio/measures`": lambda all_: _kpi(
                all_.api("/v1/portfolio/measures?period=year")["measures"], "renewals_due"
            ),
            "`renewcast renewals`": lambda all_: all_.command("renewals")["whole"]["accounts"],
            "`renewcast portfolio`": lambda all_: _kpi(all_.command("portfolio")["measures"], "renewals_due"),
            "`due.csv` of `/renewals`": lambda all_: sum(
                row["overdue"] == "false" for row in all_.export("due", "/renewals")
            ),
            "`kpis.csv` of `/`": lambda all_: _kpi(all_.export("kpis", "/"), "renewals_due"),
        },
        {
            "page `/renewals`": lambda value: count_of(int(value), "account"),
            "page `/`": lambda value: f"Renewals due in 90 days {number(value)}",
        },
    ),
    "ARR due, 90 days": Total(
        {
            "`GET /v1/renewals`": lambda all_: all_.api("/v1/renewals")["whole"]["arr"],
            "`GET /v1/portfolio/leadership`": lambda all_: all_.api(LEADERSHIP)["forecast"]["due"]["arr"],
            "`GET /v1/portfolio/measures`": lambda all_: _kpi(
                all_.api("/v1/portfolio/measures?period=year")["measures"], "renewals_due_arr"
            ),
            "`renewcast renewals`": lambda all_: all_.command("renewals")["whole"]["arr"],
            "`renewcast leadership`": lambda all_: all_.command("leadership")["forecast"]["due"]["arr"],
            "`due.csv` of `/renewals`": lambda all_: _sum(
                [row for row in all_.export("due", "/renewals") if row["overdue"] == "false"], "arr"
            ),
        },
        {"page `/renewals`": lambda value: f"Due {short_money(value)}", "presentation": short_money},
    ),
    "Open interventions": Total(
        {
            "`GET /v1/interventions`": lambda all_: len(all_.api("/v1/interventions?state=open")["data"]),
            "`GET /v1/worklist`": lambda all_: all_.api("/v1/worklist")["interventions"]["open"],
            "`renewcast interventions list`": lambda all_: len(
                all_.command("interventions", "list", "--state", "open")["data"]
            ),
            "`renewcast worklist`": lambda all_: all_.command("worklist")["interventions"]["open"],
        },
        {"page `/worklist`": lambda value: f"{number(value)} open"},
    ),
    "Interventions in progress": Total(
        {
            "`GET /v1/worklist`": lambda all_: all_.api("/v1/worklist")["under_way"],
            "`renewcast worklist`": lambda all_: all_.command("worklist")["under_way"],
            "`accounts.csv` of `/`": lambda all_: sum(row["work"] == "under_way" for row in all_.export("accounts", "/")),
        },
        {"page `/worklist`": lambda value: f"In progress {number(value)}"},
    ),
    "Lifetime value": Total(
        {
            "`GET /v1/portfolio/cohorts`": lambda all_: all_.api("/v1/portfolio/cohorts")["lifetime"]["whole"]["value"],
            "`GET /v1/portfolio/leadership`": lambda all_: all_.api(LEADERSHIP)["economics"]["whole"]["lifetime_value"],
            "`renewcast cohorts`": lambda all_: all_.command("cohorts")["lifetime"]["whole"]["value"],
            "`renewcast leadership`": lambda all_: all_.command("leadership")["economics"]["whole"]["lifetime_value"],
            "`lifetime.csv` of `/cohorts`": lambda all_: float(all_.export("lifetime", "/cohorts")[-1]["value"]),
            "`accounts.csv` of `/cohorts`": lambda all_: _sum(all_.export("accounts", "/cohorts"), "value"),
            "`economics.csv` of `/leadership`": lambda all_: float(
                all_.export("economics", "/leadership")[-1]["lifetime_value"]
            ),
        },
        {
            "page `/cohorts`": short_money,
            "page `/leadership`": short_money,
            "presentation": lambda value: f"Lifetime value is {short_money(value)}",
        },
    ),
}


@pytest.mark.parametrize("name", TOTALS)
def test_a_total_has_one_value_in_every_response_command_and_export(everywhere: Everywhere, name: str) -> None:
    values = {place: read(everywhere) for place, read in TOTALS[name].values.items()}
    first = next(iter(values.values()))
    assert first > 0, "a zero would be equal by chance"
    assert values == {place: pytest.approx(first, abs=0.005) for place in values}


@pytest.mark.parametrize("name", TOTALS)
def test_pages_and_the_presentation_show_this_value(everywhere: Everywhere, name: str) -> None:
    value = next(iter(TOTALS[name].values.values()))(everywhere)
    for place, words in TOTALS[name].pages.items():
        text = everywhere.slides() if place == "presentation" else everywhere.page(place.split("`")[1])
        assert words(value) in text, place


@pytest.mark.parametrize(
    ("command", "name", "path"),
    [
        (("portfolio",), "kpis", "/"),
        (("portfolio", "--risk", "high", "--table", "groups", "--by", "csm"), "groups", "/?risk=high&group=csm"),
        (("cohorts",), "retention", "/cohorts"),
        (("leadership",), "bridge", "/leadership"),
        (("trends",), "kpis", "/trends"),
        (("churned",), "churned", "/churned"),
        (("interventions", "list", "--state", "open", "--limit", "1"), "interventions", "/interventions"),
        (("interventions", "results"), "by-play", "/interventions"),
    ],
)  # fmt: skip
def test_a_command_writes_the_table_of_the_page(
    everywhere: Everywhere, command: tuple[str, ...], name: str, path: str
) -> None:
    rows = list(csv.DictReader(io.StringIO(everywhere.file(".csv", *command).decode())))
    assert rows
    assert rows == everywhere.export(name, path)


def test_a_table_of_changes_has_all_accounts_that_changed(everywhere: Everywhere) -> None:
    since = ("changes", "--since", "2026-06-01")
    rows = list(csv.DictReader(io.StringIO(everywhere.file(".csv", *since, "--limit", "1").decode())))
    whole = everywhere.command(*since)
    assert len(rows) == len(whole["accounts"]) + whole["more_accounts"] > 1
    assert _sum(rows, "change") == pytest.approx(whole["change"])


def test_a_workbook_of_a_command_has_every_table_of_its_page(everywhere: Everywhere) -> None:
    book = CalamineWorkbook.from_filelike(BytesIO(everywhere.file(".xlsx", "leadership")))
    assert {"Bridge of ARR", "KPIs", "ARR by segment", "Unit economics"} <= set(book.sheet_names)
    assert len(book.get_sheet_by_name("KPIs").to_python()) == len(everywhere.export("kpis", "/leadership")) + 1


def test_the_lists_lead_from_the_arr_at_risk_to_their_own_totals(everywhere: Everywhere) -> None:
    total = everywhere.api("/v1/portfolio")["whole"]["expected_churned_arr"]
    worklist = dict(everywhere.api("/v1/worklist")["bridge"])
    assert worklist.pop("portfolio") == pytest.approx(total) == pytest.approx(sum(worklist.values()))
    renewals = everywhere.api("/v1/renewals")
    bridge = renewals["bridge"]
    left = (
        bridge["arr_at_risk"] - bridge["not_due"] - bridge["overdue"] - bridge["not_forecast"] + bridge["until_renewal"]
    )
    assert left == pytest.approx(renewals["whole"]["lost_arr"]["expected"])
    assert renewals["whole"]["lost_arr"]["expected"] != pytest.approx(total), "they differ, so a bridge is needed"


def test_the_bridge_of_arr_leads_to_the_retention(everywhere: Everywhere) -> None:
    report = everywhere.api(LEADERSHIP)
    steps = {each["step"]: each["arr"] for each in report["bridge"]["steps"]}
    kept = steps["arr_start"] - steps["churned"] - steps["contracted"]
    assert _kpi(report["retention"], "grr") == pytest.approx(kept / steps["arr_start"])
    assert _kpi(report["retention"], "nrr") == pytest.approx((kept + steps["expanded"]) / steps["arr_start"])


def test_the_documentation_lists_where_each_total_appears() -> None:
    table = DOCUMENT.read_text(encoding="utf-8").split("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("| ")][
        1:
    ]
    described = {name: {place for cell in cells for place in cell.split(", ") if place} for name, *cells, _ in rows}
    assert described == {name: {*total.values, *total.pages} for name, total in TOTALS.items()}


def test_charts_have_the_figures_of_the_tables(everywhere: Everywhere) -> None:
    bands = everywhere.chart("bands", "/")
    for each in everywhere.api("/v1/portfolio")["by_health_band"]:
        assert (f": {each['accounts']} (" in bands) is (each["accounts"] > 0)
    forecast, whole = everywhere.chart("forecast", "/renewals"), everywhere.api("/v1/renewals")["whole"]
    for name in ("renewed_arr", "lost_arr", "contracted_arr", "expanded_arr"):
        assert whole[name] is None or short_money(whole[name]["expected"]) in forecast
    loads = everywhere.chart("csms", "/leadership")
    csms = everywhere.api("/v1/portfolio/leadership")["capacity"]["by_csm"]
    assert csms
    for each in csms:
        assert f"{percent(each['load'], 0)}, {count_of(each['accounts'], 'account')}" in loads


def test_kpis_of_one_date_are_no_chart_but_say_so(everywhere: Everywhere) -> None:
    assert "The KPIs of one date are known, 1 Jul 2026. Charts start with the second" in everywhere.page("/trends")
    assert len(everywhere.api("/v1/portfolio/measures/trend")["dates"]) == 1
