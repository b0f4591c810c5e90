"""Plays over whole portfolios: the shares that `renewcast risks --summary` prints stay within their bounds.

The bounds, of all accounts: executive plays at most 5%; no save play at low risk with green health and no high warning
that counts; no save play with a proposed expansion; executive plays at low risk only for immediate warnings; no play due
by the day of its first publication.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

import renewcast
from features.signals.signals import OpenSignals, open_signals
from features.snapshots.snapshot import snapshot
from features.utils.dates import Grid
from features.utils.periods import period_ending
from models.artifacts.champion import load_champion
from models.home import Home, current_home
from models.predictions.payload import portfolio_answers
from models.predictions.portfolio_table import portfolio_rows
from serving.account_reports.facts_from_signals import account_facts_from_signals
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.portfolio.rule_tables import plays_summary, risks_board
from serving.scoring.score_portfolio import assess_portfolio, score
from serving.snapshots.scored_snapshot import ScoredSnapshot, score_published
from serving.snapshots.snapshot_files import SnapshotFiles
from serving.store.database import Store
from serving.store.tables import records
from training.simulation.simulate import simulate

AS_OF = datetime(2026, 9, 30, tzinfo=UTC)
WEEK = timedelta(days=7)

BILLING = ("payment_failure", "payment_dispute")
"""The causes with a play of billing."""


def published(home: Home, champions: Any, signals: OpenSignals, as_of: datetime, store: Store | None = None) -> ScoredSnapshot:
    if not home.champion_file.is_file():
        champions.promote(home, "1")
    score(signals, as_of, home.root / "rows.csv", home, store=store)
    return score_published(SnapshotFiles(home), load_champion(home), as_of)


def _standing(home: Home | Path, scored: ScoredSnapshot) -> set[tuple[str, str]]:
    from serving.worklist.published_worklist import worklist_cache

    at = home if isinstance(home, Home) else Home(home / "home")
    return set(worklist_cache(scored).standing(Store.of(at.ensure(), None)).items())


@pytest.fixture(
    scope="module",
    params=[
        pytest.param({"accounts": 130, "weeks": 60, "seed": 1}, marks=pytest.mark.slow),
        pytest.param({"accounts": 90, "weeks": 40, "seed": 22}, marks=pytest.mark.slow),
        {"accounts": 50, "weeks": 30, "seed": 333, "end": date(2026, 9, 30)},
    ],
    ids=lambda params: f"{params['accounts']} accounts",
)
def simulated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, OpenSignals]:
    place = tmp_path_factory.mktemp("simulated")
    simulate(place / "signals", **request.param)
    return place, open_signals(str(place / "signals"), AS_OF)


@pytest.fixture(scope="module")
def scored(simulated: tuple[Path, OpenSignals], champions: Any) -> ScoredSnapshot:
    place, signals = simulated
    frame = snapshot(signals, Grid.single(AS_OF))
    own = type(champions)(champions.frame, {1: _risk_of_little_use(frame)})
    return published(Home(place / "home"), own, signals, AS_OF)


def _risk_of_little_use(frame: pd.DataFrame) -> str:
    """Return a booster for a simulated portfolio: the fifth of the accounts with the lowest usage has a churn rate of 40%,
    the others of 5%. The booster of the small company would rate all of them as risky."""
    names = champion_features()
    matrix = frame[names].assign(**{"contract.plan": np.nan}).to_numpy(float)
    matrix = np.repeat(matrix, 40, axis=0)
    use = np.nan_to_num(matrix[:, 0])
    label = np.random.default_rng(0).random(len(use)) < np.where(use <= np.quantile(use, 0.2), 0.4, 0.05)
    data = lightgbm.Dataset(matrix, label, feature_name=names, categorical_feature=[len(names) - 1])
    parameters = {"objective": "binary", "num_leaves": 5, "min_data_in_leaf": 20, "verbosity": -1, "num_threads": 1}
    return str(lightgbm.train(parameters | {"seed": 1}, data, 30).model_to_string())


def champion_features() -> list[str]:
    """The inputs of the small company's champion, in order."""
    return [
        "usage.active_users_28d", "usage.events_28d", "usage.minutes_28d", "usage.events_trend_28d", "support.tickets_91d",
        "outcomes.nps_last", "contract.arr", "contract.tenure_days", "contract.plan",
    ]  # fmt: skip


def test_the_shares_of_plays_stay_within_their_bounds(scored: ScoredSnapshot) -> None:
    result = plays_summary(scored.assessment)
    n = result["accounts"]
    assert n > 20
    assert result["executive_capacity"] == max(1, int(0.05 * n))
    assert result["executive"]["accounts"] <= result["executive_capacity"]
    for name in ("healthy_save", "proposed_save", "overdue_at_publication", "overdue"):
        assert result[name]["accounts"] == 0, name
    # Exactly the accounts with a reason have a play, so the shares are those of the reasons.
    why = [_reasons(scored, row) for row in range(n)]
    low = [band == "low" for band in scored.assessment.target_scores["churn"].band]
    calm = [a and not each["save"] for a, each in zip(low, why, strict=True)]
    assert result["with_play"]["accounts"] == sum(any(each.values()) for each in why)
    assert result["low_churn"]["accounts"] == sum(a and any(each.values()) for a, each in zip(low, why, strict=True))
    assert result["low_churn_save"]["accounts"] == sum(a and each["save"] for a, each in zip(low, why, strict=True))
    immediate = sum(a and each["immediate"] for a, each in zip(low, why, strict=True))
    assert result["low_churn_executive"]["accounts"] <= min(immediate, result["executive_capacity"])
    assert 0 < sum(calm) < n, "the bounds need accounts at low risk without a reason for a save play"
    print({name: f"{result[name]['share']:.1%}" for name in ("with_play", "by_people", "executive", "low_churn", "low_churn_save")})
    assert sum(result["kinds"].values()) == sum(result["who"].values()) == result["with_play"]["accounts"]
    assert result["by_people"]["accounts"] + result["who"].get("automated", 0) == result["with_play"]["accounts"]


def _reasons(scored: ScoredSnapshot, row: int) -> dict[str, bool]:
    """Return, by kind of play, whether the facts require it: bands, confirmed warnings, missed steps, renewal."""
    assessment, rules = scored.assessment, scored.assessment.rule_results
    churn, health = assessment.target_scores["churn"].band[row], assessment.health.band.iloc[row]
    counts = [sign for sign in rules.warnings[row] if sign.standing == "risk"]
    hard = [sign for sign in counts if sign.severity in ("immediate", "high")]
    saved = [s for s in hard if s.cause not in (*BILLING, "use_increase")]
    at_risk = churn in ("medium", "high") or health in ("yellow", "red") or bool(saved)
    reasons = {
        "save": at_risk and not assessment.ready[row],
        "billing": any(s.cause in BILLING for s in counts),
        "onboarding": bool(rules.onboarding[row].missed),
    }
    left, term = (float(assessment.frame[name].iloc[row]) for name in ("contract.days_to_renewal", "contract.term_days"))
    # Contracts with a term shorter than the time for talks are always near a renewal.
    near = 0 <= left <= 120 and not term < 120 and not any(reasons.values())
    immediate = any(s.severity == "immediate" and s.cause not in BILLING for s in counts)
    return {**reasons, "renewal": near, "immediate": immediate and reasons["save"]}


def test_every_account_has_exactly_the_plays_its_data_requires(scored: ScoredSnapshot) -> None:
    assessment, rules = scored.assessment, scored.assessment.rule_results
    kinds = set()
    for row, account in enumerate(assessment.account_ids):
        why, plays = _reasons(scored, row), rules.plays_of(row)
        result = [play.kind for play in plays]
        assert sorted(result) == sorted(kind for kind in ("save", "billing", "onboarding", "renewal") if why[kind]), account
        kinds |= set(result)
        churn, health = assessment.target_scores["churn"].band[row], assessment.health.band.iloc[row]
        for play in plays:
            assert play.because, account
            expected = {f"churn_{churn}", f"health_{health}", "renewal_near"}
            expected |= {s.code for s in rules.warnings[row] if s.standing == "risk"}
            expected |= {step.code for step in rules.onboarding[row].missed}
            assert set(play.because) <= expected, account
            assert play.due > AS_OF.date()
            if play.who == "executives":
                assert play.kind == "save"
                assert churn != "low" or why["immediate"], account
    assert "save" in kinds
    assert len(kinds) > 1


@pytest.mark.slow
def test_the_command_prints_the_shares(simulated: tuple[Path, OpenSignals], scored: ScoredSnapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    """`renewcast risks --summary` prints the same summary as JSON and as text."""
    place, _ = simulated
    monkeypatch.setenv("RENEWCAST_HOME", str(place / "home"))
    current_home.cache_clear()
    arguments = ["risks", str(place / "signals"), "--as-of", "2026-09-30", "--summary"]
    result = CliRunner().invoke(renewcast.app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    payload = json.loads(result.stdout)
    expected = plays_summary(scored.assessment, dict(_standing(place, scored)))
    assert payload == {"as_of": "2026-09-30", **json.loads(json.dumps(expected))}
    words = CliRunner().invoke(renewcast.app, arguments).stdout
    for name in ("with_play", "executive", "low_churn", "overdue_at_publication"):
        assert f"{payload[name]['share']:.1%}" in words
    refused = CliRunner().invoke(renewcast.app, [*arguments, "--out", str(place / "x.csv")])
    assert refused.exit_code != 0
    assert not (place / "x.csv").exists()


def test_every_interface_shows_the_same_plays(scored: ScoredSnapshot) -> None:
    """They are the answer, the flat row, the list of risks, and the worklist."""
    assessment = scored.assessment
    answers = {result["account_id"]: result for result in scored.answers()}
    rows = portfolio_rows(assessment).set_index("account_id")
    risks = risks_board(assessment).set_index("account_id")
    with TestClient(
        create_app(scored.snapshots.home, ServiceSettings(open_locally=True)), client=("127.0.0.1", 1)
    ) as client:
        listed = client.get("/v1/worklist", params={"capacity": 1000}).json()
    names = {item["account_id"]: item["play"] for item in listed["accounts"]}
    late = {item["account_id"] for item in listed["too_late"]}
    for account, result in answers.items():
        main = result["plays"][0] if result["plays"] else None
        act = None if main is None else main["act"]
        assert (rows["play"][account] if isinstance(rows["play"][account], str) else None) == act
        assert bool(rows["expansion_ready"][account]) == result["expansion"]["ready"]
        if account in risks.index:
            assert (risks["play"][account] if isinstance(risks["play"][account], str) else None) == act
        if account in names:
            assert names[account] == main
        assert result["expansion"]["ready"] <= all(each["kind"] != "save" for each in result["plays"])
        automated = main is not None and main["who"] == "automated"
        assert not (automated and account in names)
        if not listed["under_way"] + listed["held_out"] + listed["done"] + listed["snoozed"]:
            assert (account in names) == (main is not None and not automated and account not in late)
    first_talk = next((i for i, item in enumerate(listed["accounts"]) if item["play"]["kind"] == "renewal"), None)
    if first_talk is not None:
        assert all(item["play"]["kind"] == "renewal" for item in listed["accounts"][first_talk:])


def test_a_churn_risk_alert_goes_to_the_owner_of_the_play(scored: ScoredSnapshot) -> None:
    for result in scored.answers():
        executives = any(play["who"] == "executives" for play in result["plays"])
        for alert in result["alerts"]:
            if alert["code"] == "churn_risk":
                assert alert["to"] == ("executive" if executives else "csm")


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory, champions: Any) -> tuple[Home, ScoredSnapshot, ScoredSnapshot]:
    """Publish twice, two weeks apart; in between, an intervention starts for the first account of the list."""
    place = tmp_path_factory.mktemp("twice")
    simulate(place / "signals", accounts=60, weeks=40, seed=5)
    signals = open_signals(str(place / "signals"), AS_OF)
    home = Home(place / "home")
    before = published(home, champions, signals, AS_OF - 2 * WEEK)
    store = Store.of(home.ensure(), None)
    with TestClient(create_app(home, ServiceSettings(open_locally=True)), client=("127.0.0.1", 1)) as client:
        first = client.get("/v1/worklist").json()["accounts"][0]["account_id"]
        started = {"account_id": first, "occurred_at": (AS_OF - WEEK).isoformat(), "play": "check-in"}
        assert client.post("/v1/interventions", json=started).status_code == 201
        assert first not in {item["account_id"] for item in client.get("/v1/worklist").json()["accounts"]}
    return home, before, published(home, champions, signals, AS_OF, store)


def test_only_earlier_open_plays_are_overdue(twice: tuple[Home, ScoredSnapshot, ScoredSnapshot]) -> None:
    home, before, after = twice
    old = {result["account_id"]: {play["name"]: play for play in result["plays"]} for result in before.answers()}
    overdue = 0
    worked = {item for item, _ in _standing(home, after)}
    for result in after.answers():
        for play in result["plays"]:
            then = old.get(result["account_id"], {}).get(play["name"])
            assert play["overdue"] == (play["due"] < "2026-09-30")
            overdue += play["overdue"]
            if play["overdue"]:
                assert then is not None
                assert play["due"] == then["due"]
                assert result["account_id"] not in worked
            assert not (play["overdue"] and play["who"] == "automated")
    assert overdue > 0
    assert plays_summary(before.assessment)["overdue"]["accounts"] == 0
    assert plays_summary(after.assessment)["overdue_at_publication"]["accounts"] == 0


def test_recorded_actions_take_plays_off_every_list_immediately(
    twice: tuple[Home, ScoredSnapshot, ScoredSnapshot],
) -> None:
    home, _, after = twice
    with TestClient(create_app(home, ServiceSettings(open_locally=True)), client=("127.0.0.1", 1)) as client:
        first, second = (item["account_id"] for item in client.get("/v1/worklist").json()["accounts"][:2])
        for account in (first, second):
            assert ">In progress<" not in client.get(f"/accounts/{account}").text
        arguments = {"q": first, "only": "play"}
        assert f"/accounts/{first}" in client.get("/", params=arguments).text
        later = (AS_OF + 2 * timedelta(days=1)).isoformat()
        for account in (first, second):
            response = client.post("/v1/interventions", json={"account_id": account, "occurred_at": later, "play": "call"})
            assert response.status_code == 201
        process = {"account_id": second, "occurred_at": later, "result": "saved", "intervention_id": response.json()["id"]}
        assert client.post("/v1/outcomes", json=process).status_code == 201
        listed = client.get("/v1/worklist", params={"capacity": 1000}).json()
        assert not {first, second} & {item["account_id"] for item in listed["accounts"]}
        assert listed["done"] >= 1
        assert ">In progress<" in client.get(f"/accounts/{first}").text
        assert ">Done<" in client.get(f"/accounts/{second}").text
        assert f"/accounts/{first}" not in client.get("/", params=arguments).text
    result = dict(_standing(home, after))
    assert (result[first], result[second]) == ("under_way", "done")
    board = risks_board(after.assessment, result).set_index("account_id")
    assert board["work"].get(first, "under_way") == "under_way"
    assert board["play"].reindex([first]).isna().all()
    summary = plays_summary(after.assessment, result)
    assert summary["off_the_list"]["done"] >= 1
    assert np.isclose(summary["with_play"]["share"], summary["with_play"]["accounts"] / summary["accounts"])


@pytest.mark.slow
def test_every_interface_carries_over_the_same_due_dates(twice: tuple[Home, ScoredSnapshot, ScoredSnapshot], monkeypatch: pytest.MonkeyPatch) -> None:
    """The publication, `health`, `plan` and the lists treat recorded interventions as done."""
    home, _, after = twice
    signals = open_signals(str(home.root.parent / "signals"), AS_OF)
    monkeypatch.setenv("RENEWCAST_HOME", str(home.root))
    current_home.cache_clear()
    champion = load_champion(home)
    expected = {result["account_id"]: result["plays"] for result in after.answers()}
    assert any(play["overdue"] for plays in expected.values() for play in plays)
    assessment, _, _ = assess_portfolio(signals, AS_OF, home, champion)
    assert {result["account_id"]: result["plays"] for result in portfolio_answers(assessment, scored_at=AS_OF, data_through=AS_OF)} == expected
    with Store.of(home).read() as connection:
        started = connection.execute(records.select().order_by(records.c.recorded_at)).all()[0]
    result = account_facts_from_signals(signals, started.account_id, period_ending(AS_OF, "year"), AS_OF, home, champion).prediction
    assert result["plays"] == expected[started.account_id]
    assert not any(play["overdue"] for play in result["plays"])
    arguments = ["health", str(home.root.parent / "signals"), "--as-of", "2026-09-30", "--account", started.account_id, "--json"]
    process = CliRunner().invoke(renewcast.app, arguments)
    assert process.exit_code == 0, process.output
    assert json.loads(process.stdout)["plays"] == expected[started.account_id]
    # Scoring without --publish gives the same.
    score(signals, AS_OF, home.root / "again.csv", home)
    again = score_published(SnapshotFiles(home), champion, AS_OF)
    assert {result["account_id"]: result["plays"] for result in again.answers()} == expected
