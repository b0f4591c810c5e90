import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.catalogue.catalogue import Catalogue
from features.errors import UnknownAccount
from models.artifacts.bundle import Bundle, bundle_schema, write_bundle
from models.artifacts.champion import Champion
from models.peer_groups.peers import Peers
from models.predictions.assessment import Assessment, assess
from models.predictions.payload import account_answer, format_instant, portfolio_answers
from models.predictions.portfolio_table import portfolio_rows
from models.predictions.table_export import plain_rows

NOW = datetime(2026, 1, 6, 9, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def assessment(portfolio: pd.DataFrame, both: Champion, catalogue: Catalogue) -> Assessment:
    return assess(portfolio, both, catalogue=catalogue)


def _answer(assessment: Assessment, account: str = "a0007", **more: Any) -> dict[str, Any]:
    result = account_answer(assessment, account, scored_at=NOW, **more)
    assert json.loads(json.dumps(result, allow_nan=False)) == result  # plain data at every level
    return result


def test_the_structure_of_an_answer(assessment: Assessment) -> None:
    result = _answer(assessment, data_through=datetime(2026, 1, 4, tzinfo=UTC))
    assert list(result) == [
        "prediction_id", "account_id", "name", "as_of", "data_through", "scored_at", "horizon_days", "churn", "expansion",
        "health", "segment", "stage", "touch", "alerts", "early_warnings", "onboarding", "pulse", "plays", "reasons",
        "warnings", "model",
    ]  # fmt: skip
    assert (result["account_id"], result["as_of"], result["data_through"]) == ("a0007", "2026-01-05", "2026-01-04")
    assert (result["scored_at"], result["horizon_days"]) == ("2026-01-06T09:30:00Z", 90)
    assert result["model"] == {"name": "churn", "version": "3", "alias": "champion"}
    churn, expansion, health = result["churn"], result["expansion"], result["health"]
    assert churn["status"] == "scored"
    assert churn["interval"][0] <= churn["probability"] <= churn["interval"][1]
    assert isinstance(churn["risk_score"], int)
    assert isinstance(churn["percentile"], int)
    assert (churn["higher_is"], expansion["higher_is"], health["higher_is"]) == ("worse", "better", "better")
    assert expansion["gate"][0]["item"] == "health_green"
    assert {item["state"] for item in expansion["gate"]} <= {"met", "not_met", "unknown"}
    assert (health["rubric"], health["rubric_version"]) == ("small", "1")
    assert health["agreement"] in ("agree", "model_worse", "model_better")
    assert set(health["dimensions"]) == {"usage", "outcomes"}
    assert set(result["reasons"][0]) == {
        "code", "concept", "dimension", "direction", "text", "contribution_log_odds", "stability",
    }  # fmt: skip


def test_the_contributions_add_up(assessment: Assessment) -> None:
    result = _answer(assessment)
    for target, reasons in ((result["churn"], result["reasons"]), (result["expansion"], result["expansion"]["reasons"])):
        parts = target["explained"]
        total = parts["base_log_odds"] + parts["rest_log_odds"] + sum(r["contribution_log_odds"] for r in reasons)
        by_dimension = parts["base_log_odds"] + sum(parts["by_dimension"].values())
        assert by_dimension == pytest.approx(parts["raw_log_odds"], abs=1e-6)
        assert total == pytest.approx(parts["raw_log_odds"], abs=1e-6)


def test_the_answer_agrees_with_the_flat_row(assessment: Assessment) -> None:
    row = portfolio_rows(assessment).set_index("account_id").loc["a0007"]
    result = _answer(assessment)
    assert result["churn"]["probability"] == row["churn_probability"]
    assert result["churn"]["interval"] == [row["churn_low"], row["churn_high"]]
    assert result["churn"]["risk_score"] == row["churn_risk_score"]
    assert result["health"]["score"] == row["health_score"]
    assert result["expansion"]["ready"] == row["expansion_ready"]
    assert result["reasons"][0]["text"] == row["reason_1"]


def test_stability_and_note_of_the_reasons_are_those_of_the_table(
    assessment: Assessment, portfolio: pd.DataFrame, ensemble: Bundle, catalogue: Catalogue
) -> None:
    several = assess(portfolio, Champion({"churn": ensemble}, ensemble.rubric), catalogue=catalogue)
    for each in (assessment, several):
        rows = portfolio_rows(each)
        assert rows["reason_5_stability"].dtype == "float64"
        answers = list(portfolio_answers(each, scored_at=NOW))
        assert plain_rows(rows[["churn_explained_note"]]) == [{"churn_explained_note": a["churn"]["explained"]["note"]} for a in answers]
        for k in range(5):
            expected = [a["reasons"][k]["stability"] if k < len(a["reasons"]) else None for a in answers]
            assert [row[f"reason_{k + 1}_stability"] for row in plain_rows(rows)] == expected
    assert rows["reason_1_stability"].min() >= 0.8
    assert rows["churn_explained_note"].notna().any()


def test_the_id_depends_on_the_inputs_only(
    assessment: Assessment, portfolio: pd.DataFrame, both: Champion, champion: Champion, catalogue: Catalogue
) -> None:
    result = _answer(assessment)["prediction_id"]
    again = assess(portfolio.sample(frac=1.0, random_state=2), both, catalogue=catalogue)
    later = account_answer(again, "a0007", scored_at=datetime(2027, 1, 1, tzinfo=UTC))["prediction_id"]
    assert result == later
    assert result.startswith("prd_")
    others = [
        _answer(assessment, "a0008"),
        _answer(assess(portfolio, champion, catalogue=catalogue)),
        _answer(assess(portfolio.assign(**{"usage.trend_28d": 1.0}), both, catalogue=catalogue)),
        _answer(assess(portfolio.assign(as_of=portfolio["as_of"] + pd.Timedelta(days=7)), both, catalogue=catalogue)),
    ]
    assert result not in {other["prediction_id"] for other in others}


def test_without_a_model_there_are_nulls_and_never_zeros(
    portfolio: pd.DataFrame, champion: Champion, catalogue: Catalogue
) -> None:
    result = _answer(assess(portfolio, champion, catalogue=catalogue))["expansion"]
    assert result["status"] == "no_model"
    for key in ("probability", "interval", "risk_score", "band", "percentile", "change_30d", "model"):
        assert result[key] is None
    assert result["ready"] is False
    assert result["reasons"] == []


def test_warnings_name_ignored_and_unknown_inputs(portfolio: pd.DataFrame, both: Champion, catalogue: Catalogue) -> None:
    frame = portfolio.drop(columns="contract.tenure_days")
    frame.loc[7, "contract.plan"] = "platinum"
    frame.loc[7, ["outcomes.nps_last", "usage.active_users_28d"]] = float("nan")
    feeds = {"support": datetime(2025, 12, 1, tzinfo=UTC)}
    assessed = assess(frame, both, feeds=feeds, jumped=["usage.minutes"], catalogue=catalogue)
    assert _answer(assessed)["warnings"] == [
        {"code": "support_feed_stale", "days": 35},
        {"code": "unit_jumped", "column": "usage.minutes"},
        {"code": "features_missing", "features": ["contract.tenure_days"]},
        {"code": "unknown_category", "feature": "contract.plan"},
        {"code": "health_insufficient_data", "coverage": 0.2},
    ]
    assert "unknown_category" not in {warning["code"] for warning in _answer(assessed, "a0008")["warnings"]}


def test_the_change_compares_with_about_30_days_before(
    assessment: Assessment, portfolio: pd.DataFrame, both: Champion, champion: Champion, catalogue: Catalogue
) -> None:
    row = int(portfolio["usage.active_users_28d"].argmin())
    account = portfolio["account_id"].iloc[row]
    before = portfolio.assign(as_of=portfolio["as_of"] - pd.Timedelta(days=28))
    before["usage.active_users_28d"] += 50.0
    earlier = assess(before, both, catalogue=catalogue)
    result = _answer(assessment, account, earlier=earlier)["churn"]
    assert result["change_30d"] == result["probability"] - earlier.target_scores["churn"].probability[row]
    assert result["change_30d"] > 0
    joined_since = assess(before.drop(index=7), both, catalogue=catalogue)
    assert _answer(assessment, earlier=joined_since)["churn"]["change_30d"] is None
    # The expansion model was another one (none) then: nothing to compare with.
    other_model = assess(before, champion, catalogue=catalogue)
    assert _answer(assessment, earlier=other_model)["expansion"]["change_30d"] is None
    with pytest.raises(ValueError, match="0 days older"):
        _answer(assessment, earlier=assessment)


def test_an_unknown_account_is_reported_without_its_id(assessment: Assessment) -> None:
    with pytest.raises(UnknownAccount, match="no such account is active at 2026-01-05") as caught:
        _answer(assessment, "secret")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (datetime(2026, 2, 28, tzinfo=UTC), "2026-02-28"),
        (datetime(2026, 2, 28, 0, 0, 1, tzinfo=UTC), "2026-02-28T00:00:01Z"),
        (pd.Timestamp("2026-02-28T01:00", tz="Europe/Berlin"), "2026-02-28"),
    ],
)
def test_a_midnight_is_formatted_as_a_date(instant: datetime, text: str) -> None:
    assert format_instant(instant) == text


def test_a_batch_gives_the_same_answers_as_single_requests(assessment: Assessment, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = [_answer(assessment, account) for account in assessment.account_ids]
    assert list(portfolio_answers(assessment, scored_at=NOW)) == alone
    monkeypatch.setattr("models.predictions.payload.EXPLANATION_BATCH", 7)
    assert list(portfolio_answers(assessment, scored_at=NOW)) == alone


def test_involuntary_churn_is_a_share_of_churn(
    tmp_path: Path, portfolio: pd.DataFrame, parts: Any, peers: Peers, catalogue: Catalogue
) -> None:
    """Both kinds add up to the calibrated probability because one is a share of it, not a separate model."""
    plans = ("basic", "pro", "team")
    numbers = {name: [0.0, 0.0, 0.0, 0.0, 0.0] for name in catalogue if name != "contract.plan"}
    by_size = numbers | {"contract.arr": [-2.0, 10.0, 10.0, 0.5, 0.0]}
    result = {}
    for name, slopes in (("constant", numbers), ("by_size", by_size)):
        shares = {"intercept": -1.0, "numbers": slopes, "levels": {"contract.plan": [[0.0, 0.0, 0.0], 0.0]}}
        schema = bundle_schema(list(catalogue), {"contract.plan": plans}, peers, catalogue, {"involuntary": shares})
        bundle = write_bundle(tmp_path / name, parts(schema=schema), catalogue)
        result[name] = assess(portfolio, Champion({"churn": bundle}, bundle.rubric), catalogue=catalogue).target_scores["churn"]
    churn, constant = result["by_size"].probability, result["constant"]
    voluntary = churn - result["by_size"].involuntary
    assert (churn == constant.probability).all()
    scored = churn == churn
    assert (voluntary[scored] >= 0).all()
    assert (result["by_size"].involuntary[scored] >= 0).all()
    assert voluntary[scored] + result["by_size"].involuntary[scored] == pytest.approx(churn[scored])
    assert (constant.involuntary / constant.probability)[scored] == pytest.approx(1 / (1 + np.exp(1.0)))
    assert np.ptp((result["by_size"].involuntary / churn)[scored]) > 0.1


def test_a_model_without_kinds_reports_null(assessment: Assessment) -> None:
    assert _answer(assessment)["churn"]["involuntary"] is None
