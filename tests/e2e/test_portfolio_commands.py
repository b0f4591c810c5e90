"""Renewals and worklist through the command line, from one trained portfolio."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pptx import Presentation

from features.utils.formatting import percent

AT = "2026-09-30"


@pytest.fixture(scope="module")
def renewals(world: Any, renewcast: Any) -> dict[str, Any]:
    result = renewcast("renewals", world.signals, "--as-of", AT, "--period", "2026Q4", "--json", home=world.home)
    return dict(json.loads(result.stdout))


@pytest.fixture(scope="module")
def worklist(world: Any, renewcast: Any) -> dict[str, Any]:
    result = renewcast("worklist", world.signals, "--as-of", AT, "--capacity", "15", "--json", home=world.home)
    return dict(json.loads(result.stdout))


def test_the_forecast_adds_up(renewals: dict[str, Any]) -> None:
    whole = renewals["whole"]
    assert whole["accounts"] > 20
    assert whole["not_forecast_accounts"] < whole["accounts"] / 4
    for division in ("by_segment", "by_csm", "by_region", "by_parent"):
        parts = renewals[division]
        assert sum(part["accounts"] for part in parts) == whole["accounts"]
        lost = sum(part["lost_arr"]["expected"] for part in parts if part["lost_arr"])
        assert lost == pytest.approx(whole["lost_arr"]["expected"])
    low, high = whole["renewed_arr"]["interval"]
    assert low < whole["renewed_arr"]["expected"] < high <= whole["arr"]
    assert whole["grr"]["expected"] <= min(1.0, whole["nrr"]["expected"])
    assert renewals["past_renewals"] > 100


def test_without_enough_renewals_the_forecast_is_derived_and_says_why(world: Any, renewals: dict[str, Any]) -> None:
    reason = world.report["renewals"]["reason"]
    assert "renewals" in reason
    assert any("there is no renewal model" in note and reason in note for note in renewals["notes"])
    forecast = [account for account in renewals["accounts"] if account["method"]]
    assert {account["method"] for account in forecast} == {"derivation"}
    names = ("churn", "contraction", "kept", "expansion")
    for account in forecast:
        p = [account[f"{name}_probability"] for name in names]
        assert None in p or sum(p) == pytest.approx(1)


def test_a_file_has_every_account_due(world: Any, renewcast: Any, renewals: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "due.csv"
    result = renewcast("renewals", world.signals, "--as-of", AT, "--period", "2026Q4", "--out", out, home=world.home)
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["account_id"] for row in rows] == [row["account_id"] for row in renewals["accounts"]]
    assert f"{len(rows):,} rows" in result.stdout


def test_the_worklist_covers_more_arr_at_risk_than_the_health_score(worklist: dict[str, Any]) -> None:
    assert len(worklist["accounts"]) == 15
    assert all(item["play"] is not None for item in worklist["accounts"])
    reached = worklist["reached_arr_at_risk"]
    assert reached["worklist"] > reached["by_health_score"]
    assert worklist["interventions"]["saved"] > 0
    assert worklist["under_way"] + worklist["held_out"] > 0


def test_the_terminal_shows_both(world: Any, renewcast: Any, worklist: dict[str, Any]) -> None:
    csm = next(item["csm"] for item in worklist["accounts"] if item["csm"])
    text = renewcast("worklist", world.signals, "--as-of", AT, "--csm", csm, "--save-rate", "0.3", home=world.home).stdout
    assert csm in text
    assert "ARR at risk covered" in text


@pytest.mark.slow
def test_changes_between_two_dates_add_up(world: Any, renewcast: Any) -> None:
    dates = ("--as-of", AT, "--since", "2026-08-31")
    payload = json.loads(renewcast("changes", world.signals, *dates, "--limit", "1000", "--json", home=world.home).stdout)
    total = payload["now"]["expected_churned_arr"] - payload["before"]["expected_churned_arr"]
    assert payload["change"] == pytest.approx(total)
    assert sum(part["change"] for part in payload["parts"].values()) == pytest.approx(total)
    assert sum(each["change"] for each in payload["accounts"]) == pytest.approx(total)
    most = next(each for each in payload["accounts"] if each["kind"] == "probability_or_arr")
    one = json.loads(
        renewcast("changes", world.signals, *dates, "--account", most["name"], "--json", home=world.home).stdout
    )
    assert one["account_id"] == most["account_id"]
    assert one["churn"]["text"] == most["text"]
    drivers = sum(driver["contribution_log_odds"] for driver in one["churn"]["drivers"])
    assert drivers + one["churn"]["rest_log_odds"] == pytest.approx(one["churn"]["change_log_odds"], abs=1e-9)
    assert most["text"] in " ".join(renewcast("changes", world.signals, *dates, home=world.home).stdout.split())


@pytest.mark.slow
def test_mistakes_end_with_one_message(world: Any, renewcast: Any, tmp_path: Path) -> None:
    for more, words in (
        (["renewals", world.signals, "--as-of", AT, "--period", "2026Q2"], "ended before"),
        (["renewals", world.signals, "--as-of", AT, "--days", "45"], "30, 60, 90, 120"),
        (["changes", world.signals, "--as-of", AT, "--since", AT], "--since is not before"),
        (["changes", world.signals, "--as-of", AT, "--account", "nobody"], "no account has this id or name"),
        (["worklist", world.signals, "--as-of", AT, "--out", tmp_path / "list.xls"], ".csv"),
        (["cohorts", world.signals, "--as-of", AT, "--out", tmp_path / "cohorts.txt"], ".json, .csv, .xlsx"),
        (["leadership", world.signals, "--as-of", AT, "--table", "kpi", "--out", tmp_path / "x.csv"], "bridge, kpis"),
        (["portfolio", world.signals, "--as-of", AT, "--table", "kpis"], "--table without a file of tables"),
        (["changes", world.signals, "--as-of", AT, "--account", "a", "--out", tmp_path / "x.csv"], "--account has no table"),
        (["report", world.signals, "--as-of", AT, "--pptx", tmp_path / "deck.ppt"], ".pptx"),
        (["report", world.signals, "--as-of", AT, "--internal", "--pptx", tmp_path / "x.pptx"], "--account"),
        (["report", world.signals, "--as-of", AT, "--account", "nobody", "--pptx", tmp_path / "x.pptx"], "no account has this id or name"),
        (["holdout", "design", world.signals, "--as-of", AT, "--save-rate", "nan"], "0.01 to 1"),
        (["holdout", "design", world.signals, "--as-of", AT, "--share", "0"], "0.05 to 0.95"),
        (["holdout", "assign", world.signals, "--as-of", AT, "--trial", " ", "--out", tmp_path / "a.csv"], "printable"),
    ):
        assert words in renewcast(*more, home=world.home, expect=2).stderr


@pytest.mark.slow
def test_presentations_show_the_figures_of_the_commands(
    world: Any, renewcast: Any, renewals: dict[str, Any], tmp_path: Path
) -> None:
    deck, review = tmp_path / "deck.pptx", tmp_path / "review.pptx"
    renewcast("report", world.signals, "--as-of", AT, "--pptx", deck, home=world.home)
    text = _text_of(deck)
    kpis = json.loads(renewcast("portfolio", world.signals, "--as-of", AT, "--json", home=world.home).stdout)
    nrr = next(each for each in kpis["measures"] if each["measure"] == "nrr")
    assert f"Net revenue retention is {percent(nrr['value'])} over 12 months" in text
    account = renewals["accounts"][0]["account_id"]
    renewcast("report", world.signals, "--account", account, "--quarter", "2026Q3", "--pptx", review, home=world.home)
    assert "Business review, Q3 2026" in _text_of(review)


def _text_of(path: Path) -> str:
    shapes = [shape for slide in Presentation(str(path)).slides for shape in slide.shapes if shape.has_text_frame]
    return "\n".join(shape.text_frame.text for shape in shapes)


@pytest.mark.slow
def test_an_assignment_that_is_appended_takes_accounts_off_the_list_and_is_evaluated(
    world: Any, renewcast: Any, tmp_path: Path
) -> None:
    out, signals = tmp_path / "autumn.csv", tmp_path / "signals"
    plan = json.loads(renewcast("holdout", "design", world.signals, "--as-of", AT, "--json", home=world.home).stdout)
    assert plan["by_play"][0]["eligible"] > 0
    renewcast("holdout", "assign", world.signals, "--as-of", AT, "--trial", "autumn", "--out", out, home=world.home)
    rows = pd.read_csv(out)
    assert len(rows) == plan["by_play"][0]["eligible"]
    shutil.copytree(world.signals, signals)
    table = pd.read_parquet(signals / "interventions.parquet")
    rows["occurred_at"] = pd.to_datetime(rows["occurred_at"], utc=True).astype(table["occurred_at"].dtype)
    pd.concat([table, rows], ignore_index=True).to_parquet(signals / "interventions.parquet")
    home = shutil.copytree(world.home, tmp_path / "home")
    after = json.loads(renewcast("worklist", signals, "--as-of", "2026-10-01", "--json", home=home).stdout)
    assert after["held_out"] >= rows["held_out"].sum()
    assert {item["account_id"] for item in after["accounts"]}.isdisjoint(rows["account_id"])
    effect = json.loads(renewcast("holdout", "effect", signals, "--as-of", "2026-10-01", "--json", home=home).stdout)
    assert effect["trials"] == ["autumn"]
    assert effect["interventions"]["effect"] is None, "no outcome of the trial is known yet"
    assert (Path(home) / "effects.json").is_file()
