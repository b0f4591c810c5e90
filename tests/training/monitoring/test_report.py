"""Reasons to retrain, notes, and the JSON of the monitoring report."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO

import pytest
from rich.console import Console

from training.cli.tables.monitor import SHOWN, print_monitor
from training.monitoring.matured_predictions import MaturedMetrics
from training.monitoring.report import ChampionMonitoring, Drift, FormerChampion, MonitorReport
from training.monitoring.warning_precision import WarningOutcomes, WarningPrecision

AT = datetime(2026, 3, 1, tzinfo=UTC)
RIGHT = (1.0, 0.9, 1.1)
SEEN = MaturedMetrics(90, 1_000, 400, 60, 0.1, 0.1, RIGHT, (0.8, 0.75, 0.85), (0.08, 0.07, 0.09), RIGHT)
QUIET = Drift(0.05, {"usage.minutes": 0.1, "usage.gone": float("nan")}, 0.3)
CALM = ChampionMonitoring("3", AT, 90, (SEEN,), 0.8, (), (SEEN,), QUIET, 0.1)


WARNED = WarningOutcomes("usage_down", 40, 35, 12, 28, 10, (0.3, 0.17, 0.44), 9, 0.75)
WARNINGS = WarningPrecision(AT, AT, 26, 90, replace(WARNED, code=None), (WARNED,), 12, 900, 600, (0.05, 0.03, 0.07))


def _report(
    watched: ChampionMonitoring, feeds: tuple[str, ...] = (), warnings: WarningPrecision | None = WARNINGS
) -> MonitorReport:
    return MonitorReport(AT, {"churn": watched}, feeds, warnings, None if warnings else "not enough history")


def _printed(watched: ChampionMonitoring, warnings: WarningPrecision | None = WARNINGS) -> str:
    out = StringIO()
    print_monitor(_report(watched, warnings=warnings), Console(file=out, width=80, highlight=False))
    assert "…" not in out.getvalue(), "nothing is cut off in a terminal of eighty columns"
    return " ".join(out.getvalue().split())


def test_without_faults_there_is_no_reason_to_retrain() -> None:
    assert CALM.reasons == ()
    assert not _report(CALM).retrain
    assert "no reason to retrain" in _printed(CALM)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"matured": (replace(SEEN, ratio=(1.5, 1.2, 1.9)),)}, "1.50 times as often as predicted (1.20 to 1.90)"),
        ({"matured": (replace(SEEN, slope=(0.4, 0.3, 0.5)),)}, "too extreme: high ones are too high and low ones too low"),
        ({"matured": (replace(SEEN, roc_auc=(0.6, 0.55, 0.65)),)}, "AUC 0.600 (up to 0.650), 0.800 at training"),
        ({"drifted": replace(QUIET, score_psi=0.5)}, "the distribution of scores has shifted since training (PSI 0.50)"),
        ({"new_outcomes": 0.3}, "30% more outcomes are known than at training"),
    ],
)
def test_each_reason_includes_its_figures(changed: dict[str, object], says: str) -> None:
    watched = replace(CALM, **changed)  # type: ignore[arg-type]
    (reason,) = watched.reasons
    assert says in reason
    assert _report(watched).retrain
    assert not _report(watched, ("usage fell silent",)).retrain


def test_faults_of_previous_champions_are_notes_and_no_reasons() -> None:
    wrong = replace(SEEN, ratio=(1.5, 1.2, 1.9))
    watched = replace(CALM, matured=(), former=(FormerChampion("2", AT, AT, (wrong,)),), together=(wrong,))
    assert watched.reasons == ()
    (note,) = watched.notes
    assert note.startswith("all champions so far, pooled: within 90 days the outcome occurred 1.50 times")
    # The current champion's own predictions have matured, and they are calibrated.
    assert replace(watched, matured=(SEEN,)).notes == ()
    printed = _printed(watched)
    assert "no prediction has matured yet" in printed
    assert "2 2026-03-01 2026-03-01 60 of 400 1.50 1.00 1.20 to 1.90 0.90 to 1.10" in printed
    assert note in printed


def test_a_missing_bundle_is_reported() -> None:
    watched = replace(CALM, former=(FormerChampion("2", AT, AT, None),))
    assert "not readable" in _printed(watched)
    assert watched.as_dict()["former"][0]["matured"] is None


def test_json_has_every_feature_and_the_table_the_largest_drifts() -> None:
    psi = {f"usage.f{i}": 1 - i / 100 for i in range(40)}
    watched = replace(CALM, drifted=Drift(0.05, psi, 0.7))
    payload = json.loads(json.dumps(_report(watched).as_dict(), allow_nan=False))["targets"]["churn"]
    assert (payload["feature_psi"], payload["score_psi"], payload["psi_limit"]) == (psi, 0.05, 0.7)
    printed = _printed(watched)
    assert f"usage.f{SHOWN - 1} " in printed
    assert f"usage.f{SHOWN} " not in printed
    assert "and 18 more" in printed


def test_unknown_values_are_null_in_json() -> None:
    result = _report(CALM).as_dict()["targets"]["churn"]
    assert result["feature_psi"] == {"usage.minutes": 0.1, "usage.gone": None}
    assert (result["trained_through"], result["reasons"], result["notes"]) == ("2026-03-01", [], [])


def test_early_warnings_are_reported_with_the_rate_without_them() -> None:
    printed = _printed(CALM)
    assert "usage_down 40 35 12 10 18 30% 75% 17% to 44%" in printed
    assert (
        "40 early warnings for 35 accounts: 12 churned within 90 days (30.0%; 95% interval 17.0% to 44.0%), "
        "10 stayed after an intervention (saved, possibly), 18 stayed without one" in printed
    )
    assert "the 600 of 900 account-dates without a warning: 5.0%; 95% interval 3.0% to 7.0%" in printed
    assert "of 12 accounts that churned, 9 (75.0%) had a warning in the 90 days before" in printed
    assert "does not show that it saved the account" in printed
    total = _report(CALM).as_dict()["early_warnings"]["total"]
    assert (total["code"], total["stayed_without_intervention"], total["churn_rate"]) == (None, 18, [0.3, 0.17, 0.44])
    unrecorded = replace(WARNED, stayed_after_intervention=None)
    assert "usage_down 40 35 12 28 30% 75%" in _printed(CALM, replace(WARNINGS, total=unrecorded, by_code=(unrecorded,)))


def test_without_early_warnings_there_is_a_reason() -> None:
    assert "early warnings are not measured: not enough history" in _printed(CALM, None)
    report = _report(CALM, warnings=None).as_dict()
    assert (report["early_warnings"], report["why_no_early_warnings"]) == (None, "not enough history")
