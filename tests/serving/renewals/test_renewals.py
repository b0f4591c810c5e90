"""The renewal forecast of a published snapshot, compared with the prediction of every account."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient
from scipy.special import expit, logit

from models.artifacts.bundle import write_bundle
from models.artifacts.champion import champion_entry, load_champion
from models.artifacts.champion_pointer import ChampionPointer, write_pointer
from models.home import Home
from models.renewals.past_forecasts import PastCountForecast, PastFigure, PastForecasts, PastQuarter
from models.renewals.renewal_model import renewal_model_json
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.renewals import published_forecast
from serving.renewals.inputs import RENEWALS
from serving.renewals.schemas import Renewals
from serving.snapshots.sidecars import ACCOUNTS, sidecar_path
from serving.snapshots.snapshot_files import SnapshotFiles

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
DUE = 40
"""Days from AS_OF to the renewal of the accounts in the fixture that are due."""


def ask(client: TestClient, **query: Any) -> dict[str, Any]:
    answer = client.get("/v1/renewals", params=query)
    assert answer.status_code == 200, answer.text
    payload: dict[str, Any] = answer.json()
    Renewals.model_validate(payload)
    return payload


def at_home(home: Home) -> TestClient:
    return TestClient(create_app(home, ServiceSettings(open_locally=True)), client=("127.0.0.1", 1))


@pytest.fixture(scope="module")
def due_home(scored_home: Any, champions: Any, publish: Any, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with a snapshot in which ten accounts renew in 40 days, five in 100, and two are overdue."""
    home = Home(tmp_path_factory.mktemp("due") / "home")
    champions.promote(home, "1")
    days = [float(DUE)] * 10 + [100.0] * 5 + [-3.0] * 2
    until = days + [400.0] * (len(champions.frame) - len(days))
    publish(home, champions.frame.assign(**{"contract.days_to_renewal": until}), AS_OF)
    return home


@pytest.fixture(scope="module")
def client(due_home: Home) -> Iterator[TestClient]:
    with at_home(due_home) as opened:
        yield opened


def test_due_and_overdue_accounts_are_separate(client: TestClient) -> None:
    payload = ask(client, days=60)
    whole = payload["whole"]
    assert (whole["accounts"], whole["overdue_accounts"], whole["not_forecast_accounts"]) == (10, 2, 0)
    assert whole["arr"] == pytest.approx(sum(a["arr"] for a in payload["accounts"] if not a["overdue"]))
    assert [a["overdue"] for a in payload["accounts"]] == [False] * 10 + [True] * 2
    assert {a["renewal_at"] for a in payload["accounts"] if not a["overdue"]} == {"2026-08-10"}


def test_the_expected_loss_is_the_sum_over_accounts(client: TestClient) -> None:
    payload = ask(client, days=60)
    lost = sum(a["expected_lost_arr"] for a in payload["accounts"] if not a["overdue"])
    assert payload["whole"]["lost_arr"]["expected"] == pytest.approx(lost)
    for account in payload["accounts"][:3]:
        # This model knows 90 days only: by day 70 there is that much of its hazard and the renewal lies behind.
        p = client.get(f"/v1/accounts/{account['account_id']}/prediction").json()["churn"]["probability"]
        assert account["churn_probability"] == pytest.approx(1 - (1 - p) ** 1.0, rel=0.35)
        assert account["churn_probability"] <= p + 1e-9


@pytest.mark.parametrize("division", ["segment", "csm", "region", "parent"])
def test_the_breakdowns_add_up_to_the_total(client: TestClient, division: str) -> None:
    payload = ask(client, days=60, by=division)
    parts, whole = payload[f"by_{division}"], payload["whole"]
    assert all(payload[f"by_{other}"] is None for other in ("segment", "csm", "region", "parent") if other != division)
    for name in ("accounts", "arr", "overdue_accounts", "overdue_arr", "not_forecast_accounts"):
        assert sum(part[name] for part in parts) == pytest.approx(whole[name])
    for name in ("renewed_arr", "lost_arr", "expanded_arr", "contracted_arr"):
        available = [part[name]["expected"] for part in parts if part[name]]
        assert sum(available) == pytest.approx(whole[name]["expected"])


def test_accounts_without_a_forecast_are_counted_separately(client: TestClient) -> None:
    payload = ask(client, days=120)
    # 100 days lie beyond the 90 that the model knows.
    assert (payload["whole"]["accounts"], payload["whole"]["not_forecast_accounts"]) == (15, 5)
    assert any("not forecast" in note for note in payload["notes"])
    nothing = ask(client, period="2027Q4")
    assert nothing["whole"]["accounts"] == 0
    assert nothing["whole"]["grr"] is None


def test_a_quarter_covers_its_remaining_days(client: TestClient) -> None:
    payload = ask(client, period="2026Q3")
    assert (payload["start"], payload["end"]) == ("2026-07-01", "2026-10-01")
    for form in ("2026q3", "2026-Q3", "2026 Q3", "Q3 2026"):
        assert ask(client, period=form) == payload
    assert payload["period"] == "2026Q3"
    month = ask(client, period="2026-08")
    assert (month["period"], month["start"], month["end"]) == ("2026-08", "2026-08-01", "2026-09-01")
    assert payload["whole"]["accounts"] == 10


def test_the_list_is_limited_and_the_rest_is_counted(client: TestClient) -> None:
    every, some = ask(client, days=60), ask(client, days=60, limit=4)
    assert some["accounts"] == every["accounts"][:4]
    assert some["more_accounts"] == 8
    assert ask(client, days=60, limit=0)["accounts"] == []


@pytest.mark.parametrize(
    "query", [{"period": "2026Q2"}, {"period": "soon"}, {"days": 45}, {"days": "x"}, {"period": "2026Q4", "days": 30}, {"by": "mood"}]
)
def test_invalid_parameters_are_refused(client: TestClient, query: dict[str, Any]) -> None:
    assert client.get("/v1/renewals", params=query).status_code == 422


def test_missing_inputs_are_noted(client: TestClient) -> None:
    payload = ask(client)
    assert (payload["past_renewals"], payload["backtest"]) == (0, None)
    assert len([note for note in payload["notes"] if "no past renewal" in note or "past quarters" in note]) == 2
    assert payload["whole"]["contracted_arr"]["expected"] == 0.0


def test_the_forecast_is_cached_until_a_new_backtest(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    times = []
    original = published_forecast.forecast_renewals
    monkeypatch.setattr(published_forecast, "forecast_renewals", lambda *inputs: times.append(1) or original(*inputs))
    figure = PastFigure(expected=1.0, low=0.0, high=2.0, happened=3.0)
    miss = PastCountForecast(expected=5.0, happened=12.0, variance=4.0, drawn=3.0)
    quarter = PastQuarter(
        period="2026Q1", as_of=datetime(2026, 1, 1, tzinfo=UTC), by="champion", accounts=3, arr=1.0,
        figures={"renewed_arr": figure}, leaving=miss, growing=miss,
    )  # fmt: skip
    with at_home(own_home) as client:
        first = [ask(client, period="2026Q4"), ask(client, period="2026Q4", by="csm")]
        assert len(times) == 1
        assert first[0]["accounts"] == first[1]["accounts"]
        PastForecasts(made_at=AS_OF, data_through=AS_OF, quarters=(quarter,)).save(own_home)
        payload = ask(client, period="2026Q4")
    assert len(times) == 2
    assert payload["backtest"]["coverage"][1] == {"figure": "renewed_arr", "inside": 0, "of": 1}
    assert payload["shared_error"] > first[0]["shared_error"]


def test_stored_inputs_are_read(scored_home: Any) -> None:
    snapshots = SnapshotFiles(scored_home.home)
    for name in (ACCOUNTS, RENEWALS, "interventions"):
        assert sidecar_path(snapshots, AS_OF, name).is_file()


def test_an_invalid_sidecar_is_named(own_home: Home) -> None:
    path = sidecar_path(SnapshotFiles(own_home), AS_OF, RENEWALS)
    path.write_text(path.read_text().replace('"segments"', '"parts"'))
    with at_home(own_home) as client:
        answer = client.get("/v1/renewals")
    assert answer.status_code in (500, 503)
    assert "traceback" not in answer.text.lower()


def test_without_a_model_figures_are_null_and_not_zero(own_home: Home) -> None:
    own_home.champion_file.unlink()
    with at_home(own_home) as client:
        payload = ask(client, period="2027Q1")
    assert payload["whole"]["accounts"] == payload["whole"]["not_forecast_accounts"] == 39
    assert payload["whole"]["renewed_arr"] is None
    assert payload["whole"]["nrr"] is None


@pytest.fixture(scope="module")
def modeled_home(due_home: Home, champions: Any, copy_home: Any, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The home with a renewal model of lost and expanded renewals; five of the accounts due have monthly contracts."""
    home: Home = copy_home(due_home, tmp_path_factory.mktemp("modeled"))
    pointed = {}
    for target in ("churn", "expansion"):
        parts = champions._parts(target, "2", 1)
        schema = {"features": parts.schema["features"]}
        stages = dict.fromkeys(("lost", "expanded"), (champions.texts[2], schema, parts.calibrator))
        renewals = renewal_model_json(stages) if target == "churn" else None  # type: ignore[arg-type]
        bundle = write_bundle(home.bundle_folder(target, "2"), replace(parts, renewals=renewals))
        pointed[target] = champion_entry(home, bundle)
    write_pointer(home, ChampionPointer(promoted_at=datetime(2026, 6, 1, tzinfo=UTC), **pointed))
    return home


def test_a_renewal_model_replaces_the_derivation_at_its_leads(modeled_home: Home, client: TestClient) -> None:
    with at_home(modeled_home) as modeled:
        payload, near = ask(modeled, days=120), ask(modeled, days=30)
        page = modeled.get("/renewals?period=120", headers={"Accept": "text/html"}).text
    derived = ask(client, days=120)
    # The horizons of these models end at 90 days, and the renewal model goes on to 120.
    assert (payload["whole"]["accounts"], payload["whole"]["not_forecast_accounts"]) == (15, 0)
    assert payload["whole"]["renewal_model_accounts"] == 15
    assert derived["whole"]["renewal_model_accounts"] == 0
    due = [account for account in payload["accounts"] if not account["overdue"]]
    assert {account["method"] for account in due} == {"renewal_model"}
    assert {account["method"] for account in derived["accounts"] if account["churn_probability"]} == {"derivation"}
    names = ("churn", "contraction", "kept", "expansion")
    for account in due:
        assert sum(account[f"{name}_probability"] for name in names) == pytest.approx(1)
    bundle = load_champion(modeled_home).bundles["churn"]
    assert bundle.renewals is not None
    frame = SnapshotFiles(modeled_home).at(AS_OF).frame.set_index("account_id", drop=False)
    alone = bundle.renewals.scorers["lost"].predict(frame.loc[[account["account_id"] for account in due]]).probability
    others = {account["account_id"]: account["churn_probability"] for account in derived["accounts"]}
    for account, model in zip(due, alone, strict=True):
        other = others[account["account_id"]]
        expected = model if other is None else expit((logit(model) + logit(other)) / 2)
        assert account["churn_probability"] == pytest.approx(expected)
    assert any("15 of 15 accounts are forecast with the renewal model" in note for note in payload["notes"])
    assert any("there is no renewal model" in note for note in derived["notes"])
    assert near["whole"]["accounts"] == 0
    assert "renewal model</span>" in page


def test_the_page_states_the_horizon_of_its_probabilities(client: TestClient) -> None:
    page = client.get("/renewals?period=120", headers={"Accept": "text/html"}).text
    for heading in ("Churn by renewal", "Expansion by renewal", "Lost ARR by renewal"):
        assert re.search(f">{heading}(<span[^>]*> [▼▲]</span>)?</a></th>", page)
