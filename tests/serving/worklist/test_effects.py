"""Measured effects in the worklist, and trials that are drawn from it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

import renewcast
from features.errors import BadRequest
from models.home import Home, current_home
from models.rules.intervention_effects import InterventionRecord, report_interventions
from models.uplift.account_effects import AccountEffectModel, EffectsFile, write_effects
from models.uplift.design import ALL_PLAYS
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.snapshots.live_state import LiveStateManager
from serving.snapshots.sidecars import write_sidecar
from serving.snapshots.snapshot_files import SnapshotFiles
from serving.worklist.effects import NOT_STORED, effects_document
from serving.worklist.holdout import ASSIGNMENT_COLUMNS, assignment_frame, eligible_accounts, portfolio_design
from serving.worklist.interventions import INTERVENTIONS, published_interventions
from serving.worklist.rank import WorklistContext, build_worklist
from serving.worklist.schemas import HoldoutDesignResponse, PlayEffectsResponse


def trial(play: str, save_rate: float, accounts: int = 1500, share: float = 0.3) -> list[InterventionRecord]:
    """A trial whose arms have exactly the given save rate, half a year before the snapshot."""
    at = datetime(2025, 6, 1, tzinfo=UTC)
    records = []
    for n in range(accounts):
        held_out = n % 10 < 10 * share
        churn = 0.4 if held_out else 0.4 * (1 - save_rate)
        place = n // 10 % 50
        stayed = place >= 50 * churn
        records.append(
            InterventionRecord(f"{play}{n}", at, held_out, stayed=stayed, play=play, trial="t", held_out_share=share)
        )
    return records


@pytest.fixture
def assessed(own_home: Home) -> Any:
    return LiveStateManager(own_home, ServiceSettings()).current().scored(None).assessment


def plays_of(assessment: Any) -> list[str]:
    listed = build_worklist(assessment, 1000, WorklistContext())["accounts"]
    return [item["play"]["name"] for item in listed if item["because"] != "renewal"]


def test_accounts_are_ordered_by_the_arr_that_their_plays_save(assessed: Any) -> None:
    first, *others = sorted(set(plays_of(assessed)))
    records = trial(first, 0.0, 3000) + [r for play in others[:2] for r in trial(play, 0.6)]
    answer = build_worklist(assessed, 1000, WorklistContext(interventions=records))
    assert answer["ordered_by"] == "expected_saved_arr"
    rates = {each["play"]: each["save_rate"] for each in answer["interventions"]["by_play"]}
    assert rates[first] < 0.15 < 0.5 < rates[others[0]]
    items = [item for item in answer["accounts"] if item["because"] != "renewal" and item["arr_at_risk"] is not None]
    values = [item["expected_saved_arr"] for item in items]
    assert values == sorted(values, reverse=True)
    for item in items:
        name = item["play"]["name"]
        rate = rates.get(name, answer["save_rate"]["value"])
        assert item["churn_reduction"] == pytest.approx(rate * item["churn_probability"])
        assert item["expected_saved_arr"] == pytest.approx(item["churn_reduction"] * item["arr"])
        assert item["effect_source"] == ("play" if name in rates else "all_plays")
    assert answer["saved_arr"]["everyone"] == pytest.approx(sum(values))


def test_an_unmeasured_effect_leaves_the_order_by_arr_at_risk_and_says_what_would_have_been_detected(assessed: Any) -> None:
    records = trial(plays_of(assessed)[0], 0.02)
    answer = build_worklist(assessed, 1000, WorklistContext(interventions=records))
    assert answer["ordered_by"] == "arr_at_risk"
    assert answer["save_rate"]["source"] == "unknown"
    assert "would probably have been detected" in answer["save_rate"]["words"]
    assert {item["effect_source"] for item in answer["accounts"]} == {None}


def test_only_rows_of_trials_are_compared_and_treated_held_out_accounts_are_counted() -> None:
    records = trial("call", 0.5)
    at = datetime(2025, 6, 20, tzinfo=UTC)
    chosen = [InterventionRecord(f"chosen{n}", at, False, stayed=False, play="call") for n in range(500)]
    crossed = [InterventionRecord("call0", at, False, stayed=True, play="mail")]
    plain, with_others = report_interventions(records), report_interventions(records + chosen + crossed)
    assert with_others.effect == plain.effect
    assert (plain.crossovers, with_others.crossovers) == (0, 1)


def test_http_and_page_use_stored_effects_per_account(own_home: Home) -> None:
    snapshots = SnapshotFiles(own_home)
    as_of = max(snapshots.dates())
    client = TestClient(create_app(own_home, ServiceSettings(open_locally=True)), client=("127.0.0.1", 1))
    play = next(item["play"]["name"] for item in client.get("/v1/worklist").json()["accounts"])
    columns = ["account_id", "occurred_at", "held_out", "closed_at", "result", "stayed", "play", "trial"]
    columns += ["held_out_share", "churn_probability", "arr"]
    rows = [
        [r.account_id, r.occurred_at.isoformat(), r.held_out, None, None, r.stayed, play, r.trial, r.held_out_share, None, None]
        for r in trial(play, 0.5)
    ]
    write_sidecar(snapshots, as_of, INTERVENTIONS, {"columns": columns, "rows": rows})
    model = AccountEffectModel(
        play=play, accounts=1500, held_out_accounts=450, average=0.1, average_interval=(0.05, 0.15), means=(0.2, 8.0),
        coefficients=(0.5, 0.0), lows=(0.0, 0.0), highs=(1.0, 20.0), slope=1.0, slope_interval=(0.5, 1.5), qini=0.01,
        qini_interval=(0.0, 0.02), groups=(), supported=True, shrinkage=1.0, words="accounts differ measurably",
    )  # fmt: skip
    by_play = client.get("/v1/worklist").json()
    assert {i["effect_source"] for i in by_play["accounts"] if i["play"]["name"] == play} == {"play"}
    write_effects(own_home.effects_file, EffectsFile(as_of=as_of, models=(model,)))
    own = [i for i in client.get("/v1/worklist").json()["accounts"] if i["play"]["name"] == play and i["arr"]]
    assert {item["effect_source"] for item in own} == {"account"}
    for item in own:
        churn = item["churn_probability"]
        assert item["churn_reduction"] == pytest.approx(np.clip(0.1 + 0.5 * (churn - 0.2), 0, churn))
    page = client.get("/worklist").text
    assert "Effect by play" in page
    assert "effects measured per account" in page
    write_effects(own_home.effects_file, EffectsFile(as_of=as_of + timedelta(days=1), models=(model,)))
    later = client.get("/v1/worklist").json()
    assert "account" not in {item["effect_source"] for item in later["accounts"]}, "later effects are not known yet"


@pytest.fixture
def command(tables: Any, to_arrow: Any, own_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command on the signals of the home and return its JSON answer."""
    folder = tmp_path / "signals"
    folder.mkdir()
    for name, rows in tables.items():
        pq.write_table(to_arrow(name, rows), folder / f"{name}.parquet")
    monkeypatch.setenv("RENEWCAST_HOME", str(own_home.root))
    current_home.cache_clear()

    def run(*arguments: str) -> dict[str, Any]:
        result = CliRunner().invoke(renewcast.app, [*arguments[:2], str(folder), *arguments[2:], "--json"])
        assert result.exit_code == 0, result.output
        answer: dict[str, Any] = json.loads(result.stdout)
        return answer

    return run


def test_design_and_effects_are_the_same_over_http_and_from_the_command(own_home: Home, command: Any) -> None:
    snapshots = SnapshotFiles(own_home)
    as_of = max(snapshots.dates())
    client = TestClient(create_app(own_home, ServiceSettings(open_locally=True)), client=("127.0.0.1", 1))
    settings = ("--save-rate", "0.4", "--share", "0.3", "--power", "0.9", "--per-week", "2")
    params = {"save_rate": 0.4, "share": 0.3, "power": 0.9, "per_week": 2}
    design = client.get("/v1/holdout/design", params=params).json()
    HoldoutDesignResponse.model_validate(design)
    assert design["by_play"][0]["eligible"] > 0
    assert design == command("holdout", "design", "--as-of", as_of.isoformat(), *settings)

    before = client.get("/v1/holdout/effects").json()
    PlayEffectsResponse.model_validate(before)
    assert (before["models_as_of"], before["notes"]) == (None, [NOT_STORED])
    effects = command("holdout", "effect", "--as-of", as_of.isoformat())
    assert {k: v for k, v in before.items() if k not in ("models_as_of", "notes")} == {
        k: v for k, v in effects.items() if k not in ("models_as_of", "notes")
    }
    # The command has stored its models, also if there are none.
    stored = client.get("/v1/holdout/effects").json()
    assert stored | {"notes": effects["notes"]} == effects

    for wrong in ({"share": 0}, {"power": "nan"}, {"play": "no such play"}, {"csm": "no such CSM"}, {"as_of": "tomorrow"}):
        refused = client.get("/v1/holdout/design", params=wrong)
        assert refused.status_code == 422, refused.text
    assert client.get("/v1/holdout/effects", params={"as_of": "2020-01-01"}).status_code == 404


def test_effects_say_what_the_worklist_uses(assessed: Any) -> None:
    first, *others = sorted(set(plays_of(assessed)))
    records = trial(first, 0.0, 3000) + [r for play in others[:2] for r in trial(play, 0.6)]
    as_of = assessed.as_of.to_pydatetime()
    answer = effects_document(as_of, records, None, ())
    used = {each["play"]: each["effect_source"] for each in answer["interventions"]["by_play"]}
    listed = build_worklist(assessed, 1000, WorklistContext(interventions=records))["accounts"]
    assert used == {first: "play", **dict.fromkeys(others[:2], "play")}
    for item in listed:
        if item["because"] != "renewal" and item["arr_at_risk"] is not None:
            assert item["effect_source"] == used.get(item["play"]["name"], "all_plays")
    unmeasured = effects_document(as_of, trial(first, 0.02), None, ())
    assert [each["effect_source"] for each in unmeasured["interventions"]["by_play"]] == [None]


def test_sidecars_without_the_fields_of_trials_are_read(own_home: Home) -> None:
    snapshots = SnapshotFiles(own_home)
    as_of = max(snapshots.dates())
    columns = ["account_id", "occurred_at", "held_out", "closed_at", "result", "stayed"]
    row = ["a", "2026-01-01T00:00:00+00:00", True, None, None, False]
    write_sidecar(snapshots, as_of, INTERVENTIONS, {"columns": columns, "rows": [row]})
    records = published_interventions(snapshots, as_of)
    assert records == [InterventionRecord("a", datetime(2026, 1, 1, tzinfo=UTC), True, stayed=False)]


def test_an_assignment_has_rows_for_both_arms_and_is_not_repeated(assessed: Any) -> None:
    context = WorklistContext()
    frame = assignment_frame(assessed, context, "t", 0.3, 5)
    assert frame.columns.tolist() == list(ASSIGNMENT_COLUMNS)
    assert frame.equals(assignment_frame(assessed, context, "t", 0.3, 5))
    assert abs(frame["held_out"].sum() - 0.3 * len(frame)) <= 1
    listed = {i["account_id"] for i in build_worklist(assessed, 1000, context)["accounts"] if i["because"] != "renewal"}
    assert set(frame["account_id"]) <= listed
    at = assessed.as_of.to_pydatetime() - timedelta(days=200)
    before = [InterventionRecord(account, at, False, trial="t") for account in frame["account_id"][:5]]
    again = assignment_frame(assessed, WorklistContext(interventions=before), "t", 0.3, 5)
    assert set(frame["account_id"]) - set(again["account_id"]) == set(frame["account_id"][:5])
    every = [InterventionRecord(account, at, False, trial="t") for account in frame["account_id"]]
    with pytest.raises(BadRequest, match="no account can be assigned"):
        assignment_frame(assessed, WorklistContext(interventions=every), "t", 0.3, 5)
    assert len(assignment_frame(assessed, context, "t", 0.3, 5, most=3)) == 3


def test_a_design_uses_the_accounts_that_can_be_assigned(assessed: Any) -> None:
    found = eligible_accounts(assessed, WorklistContext())
    design = portfolio_design(assessed, WorklistContext(), 0.5, 0.3, accounts_per_week=4.0)
    whole, *others = design.by_play
    assert (whole.play, whole.eligible) == (ALL_PLAYS, len(found.rows))
    assert sum(plan.eligible for plan in others) == whole.eligible
    assert whole.churn_probability == pytest.approx(found.churn.mean())
    assert whole.required is not None
    assert whole.weeks == max(0, -(-(whole.required - whole.eligible) // 4)) + 13
    with pytest.raises(BadRequest, match="this play"):
        eligible_accounts(assessed, WorklistContext(), play="dance")
