"""The rules for a whole portfolio: over time, in any order of rows, and with one date only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.health.rubric import load_rubric
from models.peer_groups.rule_files import SHIPPED_RULES
from models.rules.evaluate import RuleResults, apply_rules, history_features
from models.rules.history import PortfolioHistory

RUBRIC = load_rubric()
DATES = pd.date_range("2026-04-06", periods=9, freq="7D", tz="UTC")


def _portfolio(accounts: int = 60, seed: int = 5) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    features = [*history_features(RUBRIC), "contract.days_since_start", "usage.users_so_far", "relationship.decision_makers"]
    rows = accounts * len(DATES)
    values = rng.choice([0.0, 0.3, 0.6, 0.9, 1.0, 2.0, 5.0, 30.0, 90.0, np.nan], (rows, len(features)))
    frame = pd.DataFrame(values, columns=features)
    frame["contract.arr"] = np.tile(rng.lognormal(10, 1, accounts), len(DATES))
    return frame.assign(account_id=[f"a{i:02d}" for i in range(accounts)] * len(DATES), as_of=np.repeat(DATES, accounts))


@pytest.fixture(scope="module")
def results() -> RuleResults:
    return apply_rules(PortfolioHistory(_portfolio()), RUBRIC)


def test_every_account_is_reported(results: RuleResults) -> None:
    for result in (results.alerts, results.warnings, results.onboarding, results.plays):
        assert len(result) == 60
    assert results.score.shape == results.band.shape == (60, 9)
    assert results.score[:, -1].tolist() == pytest.approx(results.health.score.tolist(), nan_ok=True)


def test_the_order_of_rows_does_not_change_results(results: RuleResults) -> None:
    shuffled = apply_rules(PortfolioHistory(_portfolio().sample(frac=1.0, random_state=1)), RUBRIC)
    assert (shuffled.alerts, shuffled.warnings, shuffled.onboarding, shuffled.plays) == (
        results.alerts, results.warnings, results.onboarding, results.plays,
    )  # fmt: skip
    np.testing.assert_array_equal(shuffled.score, results.score)


def test_an_alert_is_raised_at_one_date_only() -> None:
    """The same history, evaluated a week later each time: an alert is not raised twice."""
    frame = _portfolio()
    raised: set[tuple[str, str]] = set()
    for end in range(2, len(DATES) + 1):
        result = apply_rules(PortfolioHistory(frame[frame["as_of"] <= DATES[end - 1]]), RUBRIC)
        for account, each in enumerate(result.alerts):
            new = {(f"a{account:02d}", alert.key) for alert in each if alert.raised}
            assert not new & raised
            raised |= new
    assert raised


def test_a_single_date_gives_no_changes_and_confirms_no_noisy_warning() -> None:
    frame = _portfolio()
    alone = apply_rules(PortfolioHistory(frame[frame["as_of"] == DATES[-1]]), RUBRIC)
    codes = {alert.code for each in alone.alerts for alert in each}
    # These two report a state, the others a change.
    assert codes <= {"churn_risk", "renewal_at_risk"}
    noisy = {"usage_down", "few_features", "tickets_rising"}
    assert all(w.standing == "watch" for each in alone.warnings for w in each if w.code in noisy)
    assert np.isnan(alone.change_7d).all()


def test_a_risk_score_above_the_threshold_raises_an_alert() -> None:
    frame = _portfolio(3)
    risk = np.array([90.0, 70.0, np.nan])
    result = apply_rules(PortfolioHistory(frame), RUBRIC, risk=risk)
    assert [any(a.code == "churn_risk" for a in each) for each in result.alerts] == [True, False, False]


def test_the_versions_of_the_rules_are_reported(results: RuleResults) -> None:
    assert set(results.versions) == {"alerts", "warnings", "onboarding", "expansion", "plays", "segments", "lifecycle"}


def test_a_file_of_alerts_without_the_alert_of_renewals_does_not_raise_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An own file that was written before the alert existed stays valid."""
    near = _portfolio().assign(**{"contract.days_to_renewal": 30.0, "contract.term_days": 365.0})

    def codes() -> set[str]:
        found = apply_rules(PortfolioHistory(near), RUBRIC).alerts
        return {alert.code for each in found for alert in each}

    shipped = codes()
    text = (SHIPPED_RULES / "alerts.toml").read_text(encoding="utf-8")
    before, rest = text.split("[renewal_at_risk]")
    (tmp_path / "alerts.toml").write_text(before + rest[rest.index("[churn_risk]") :], encoding="utf-8")
    monkeypatch.setenv("RENEWCAST_RULES", str(tmp_path))
    assert "renewal_at_risk" in shipped
    assert codes() == shipped - {"renewal_at_risk"}
