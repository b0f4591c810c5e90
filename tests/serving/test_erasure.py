"""Erasing an account: nothing of it remains in any file of the home, and everything else still works."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from features.errors import HomeError, UnknownAccount
from models.artifacts.identity_file import read_identity_file, write_identity_file
from models.artifacts.portfolio_identity import PortfolioIdentity, SignalsPortfolio
from models.home import Home
from models.home_writers import writing
from models.predictions.table_export import write_frame
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.erasure.erase import erase_account
from serving.erasure.json_documents import without_account
from serving.portfolio.kpi_file import read_contributions
from serving.scoring.publish_predictions import publish_batch
from serving.snapshots.sidecars import ACCOUNTS, read_sidecar, write_sidecar
from serving.snapshots.snapshot_files import SnapshotFiles
from serving.store.database import Store
from serving.store.saved_views import save_view
from serving.store.tables import idempotency, predictions
from serving.webhooks.endpoints import EVENTS, add_endpoint
from tests.serving.conftest import AS_OF, EARLIER

#: A parent of other accounts, with a name that occurs nowhere else.
ACCOUNT, NAME, OTHER = "a00", 'Zyxo "Ünder" & <Co>', "a05"
#: The id as it is written in files. As text, a00 could also be part of a hash.
QUOTED = b'"a00"'
SETTINGS = ServiceSettings(open_locally=True, retry_seconds=0.05)


@pytest.fixture
def home(own_home: Home) -> Home:
    """A home with everything that Renewcast writes about accounts."""
    snapshots = SnapshotFiles(own_home)
    for as_of in (AS_OF, EARLIER):
        document = read_sidecar(snapshots, as_of, ACCOUNTS) or read_sidecar(snapshots, AS_OF, ACCOUNTS)
        assert document is not None
        people = {
            a: {**each, "name": NAME if a == ACCOUNT else f"Company {a}"} for a, each in document["accounts"].items()
        }
        write_sidecar(
            snapshots, as_of, ACCOUNTS, {**document, "accounts": people, "names": {**document["names"], ACCOUNT: NAME}}
        )
    ids = list(people)
    write_identity_file(
        own_home, PortfolioIdentity.of(SignalsPortfolio("p", "contractual", ("accounts",), ids, [None] * len(ids)))
    )
    rows = pd.DataFrame({"account_id": ids, "arr": 1.0})
    identity = read_identity_file(own_home)
    assert identity is not None
    hashed = pd.DataFrame({"account": identity.hash_accounts(ids), "probability": 0.5})
    write_frame(rows, own_home.artifacts / "run" / "artifacts" / "rows.parquet")
    hashed.to_parquet(own_home.artifacts / "run" / "artifacts" / "predictions.parquet", index=False)
    write_frame(rows, own_home.root / "jobs" / "job_1-1.csv")
    write_frame(rows, own_home.rollups / "usage" / "piece.parquet")
    review = own_home.reviews / "2026Q2-churn"
    review.mkdir(parents=True)
    (review / "review.json").write_text(
        json.dumps({"largest": [{"account_id": each, "arr": 1.0} for each in ids]}, indent=1)
    )
    lines = "\n".join(f'<tr><th scope="row">{each}</th><td>1</td></tr>' for each in ids)
    (review / "index.html").write_text(f"<table>{lines}</table>")
    (own_home.root / ".x-1.unfinished.json").write_text(json.dumps(ids))
    own_home.texts.write_text(json.dumps({"k": f"SELECT '{ACCOUNT}'"}))
    _fill_store(own_home, ids)
    return own_home


def _fill_store(home: Home, ids: list[str]) -> None:
    store = Store.of(home)
    app = create_app(home, SETTINGS)
    with TestClient(app, client=("127.0.0.1", 1)) as client:
        answers = list(app.state.live.current().scored(None).answers())
        for account in (ACCOUNT, OTHER):
            action = {
                "account_id": account,
                "occurred_at": "2026-06-01T00:00:00Z",
                "play": "p",
                "note": f"about {account}",
            }
            created = client.post("/v1/interventions", json=action, headers={"Idempotency-Key": account})
            assert created.status_code == 201, created.text
            change = {"note": f"call {account}", "assignee": "Ana"}
            path = f"/v1/interventions/{created.json()['id']}"
            assert client.patch(path, json=change, headers={"If-Match": '"1"'}).status_code == 200
            until = (datetime.now(UTC) + timedelta(days=9)).date().isoformat()
            assert client.post(f"/v1/accounts/{account}/snoozes", json={"until": until}).status_code == 201
    # No service is running that would send the webhooks.
    with store.begin() as connection:
        add_endpoint(connection, "https://example.com/hook", EVENTS)
    alert = {"key": "into_red:2026-07-01", "code": "into_red", "raised": True}
    publish_batch(
        store,
        [{**each, "name": NAME if each["account_id"] == ACCOUNT else None, "alerts": [alert]} for each in answers],
    )
    with store.begin() as connection:
        save_view(connection, None, "company", "/worklist", f"parent={ACCOUNT}", "a person")
        save_view(connection, None, "others", "/worklist", "health=red", "a person")
        connection.execute(
            idempotency.insert().values(
                key="k", fingerprint="f", status=409, headers="{}", created_at=datetime.now(UTC),
                body=json.dumps({"current": {"account_id": ACCOUNT, "name": NAME}}).encode(),
            )
        )  # fmt: skip
    store.close()


def _traces(home: Home) -> list[str]:
    """Return the files that contain the id or the name of the account, also in compressed or encoded form."""
    found = []
    forms = [QUOTED, b"'a00'", b">a00<", b"\na00,", *(text.encode() for text in (NAME, json.dumps(NAME)[1:-1], "Zyxo"))]
    for path in sorted(each for each in home.root.rglob("*") if each.is_file()):
        content = path.read_bytes()
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            content += "".join(
                f'"{each}"'
                for name in table.column_names
                if table[name].type == "string"
                for each in table[name].to_pylist()
            ).encode()
            # Also the statistics of the file.
            content += str(pq.ParquetFile(path).metadata.row_group(0).to_dict()).encode()
        if any(form in content for form in forms):
            found.append(path.relative_to(home.root).as_posix())
    store = Store.of(home)
    with store.read() as connection:
        for row in connection.execute(select(predictions.c.id, predictions.c.document)):
            if any(form in zlib.decompress(row.document) for form in forms):
                found.append(f"prediction {row.id}")
    store.close()
    return found


def test_nothing_of_an_erased_account_remains_in_any_file(home: Home) -> None:
    before = _traces(home)
    for part in (
        "store.sqlite",
        "snapshots/2026-07-01.parquet",
        "snapshots/2026-06-01.parquet",
        "rollups",
        "jobs",
        "mlartifacts",
        "reviews",
        "prediction",
        "texts.json",
        ".x-1",
    ):
        assert any(each.startswith(part) for each in before), part
    assert any("companions" in each for each in before)
    result = erase_account(home, Store.of(home), ACCOUNT, write=True)
    assert _traces(home) == []
    assert result.erased
    assert not result.notes
    assert not result.mentions
    counted = {each.where: each.count for each in result.removed}
    assert counted["store: predictions"] == counted["store: alerts"] == 1
    assert counted["store: records"] == 2
    assert counted["store: intervention_changes"] == 1
    assert counted["store: saved_views"] == 1
    assert counted["portfolio.json"] == 1
    assert counted["mlartifacts/run/artifacts/predictions.parquet"] == 1, "known there by its hash"
    assert len(pq.read_table(home.artifacts / "run" / "artifacts" / "predictions.parquet")) == 38


def test_a_trial_run_says_the_same_and_changes_nothing(home: Home) -> None:
    def contents() -> dict[str, bytes]:
        return {
            str(each): each.read_bytes() for each in home.root.rglob("*") if each.is_file() and "store" not in each.name
        }

    before = contents()
    planned = erase_account(home, Store.of(home), NAME, write=False)
    assert contents() == before
    assert not planned.erased
    assert erase_account(home, Store.of(home), ACCOUNT, write=True).removed == planned.removed


def test_an_erasure_during_a_scoring_is_refused_and_changes_nothing(home: Home) -> None:
    before, store = _traces(home), Store.of(home)
    with writing(home, "scoring"):
        with pytest.raises(HomeError, match=r"a scoring .* is writing"):
            erase_account(home, store, ACCOUNT, write=True)
        assert not erase_account(home, store, ACCOUNT, write=False).erased
    store.close()
    assert _traces(home) == before


def test_pages_and_routes_work_without_the_account_and_show_the_others(home: Home) -> None:
    erase_account(home, Store.of(home), NAME, write=True)
    app = create_app(home, SETTINGS)
    with TestClient(app, client=("127.0.0.1", 1)) as client:
        whole = client.get("/v1/portfolio").json()["whole"]
        assert whole["accounts"] == 38
        assert client.get(f"/v1/accounts/{ACCOUNT}/prediction").status_code == 404
        assert client.get(f"/v1/accounts/{OTHER}/prediction").status_code == 200
        steps = client.get("/v1/portfolio/leadership").json()["bridge"]["steps"]
        assert steps[-1]["accounts"] == 38, "the contributions of the others are still those of their period"
        assert len(client.get("/v1/predictions?limit=1000").json()["data"]) == 38
        assert [each["account_id"] for each in client.get("/v1/interventions").json()["data"]] == [OTHER]
        for path in (
            "/",
            "/?as_of=2026-06-01",
            "/worklist",
            "/alerts",
            "/interventions",
            "/renewals",
            "/trends",
            "/cohorts",
            "/churned",
            "/onboarding",
            "/accounts/a01",
            "/views",
        ):
            page = client.get(path, headers={"Accept": "text/html"})
            assert page.status_code == 200, path
            assert NAME not in page.text
    identity = read_identity_file(home)
    assert identity is not None
    assert identity.accounts == 38
    assert identity.without_account(ACCOUNT) is identity


def test_an_unknown_account_is_refused_and_one_of_several_is_not_guessed(home: Home) -> None:
    for text in ("unheard of", "Company"):
        with pytest.raises(UnknownAccount):
            erase_account(home, Store.of(home), text, write=True)
    erase_account(home, Store.of(home), ACCOUNT, write=True)
    with pytest.raises(UnknownAccount, match="no account has this id or name"):
        erase_account(home, Store.of(home), ACCOUNT, write=True)


def test_texts_of_people_that_name_the_account_are_reported_and_left(home: Home) -> None:
    store = Store.of(home)
    with TestClient(create_app(home, SETTINGS), client=("127.0.0.1", 1)) as client:
        action = {"account_id": "a06", "occurred_at": "2026-06-01T00:00:00Z", "note": f"as at {NAME}"}
        assert client.post("/v1/interventions", json=action).status_code == 201
    home.rubrics.mkdir(exist_ok=True)
    (home.rubrics / "why.json").write_text(json.dumps({"why": f"{NAME} left"}))
    result = erase_account(home, store, ACCOUNT, write=True)
    assert result.mentions == ("1 record of other accounts in the store", "rubrics/why.json")
    assert "a06" in json.dumps([each.as_dict() for each in _interventions(home)])


def _interventions(home: Home) -> list[Any]:
    from serving.worklist.intervention_history import read_interventions

    with Store.of(home).read() as connection:
        return read_interventions(connection)


@pytest.mark.parametrize(
    ("document", "rest"),
    [
        ({"accounts": {"x": 1, "y": 2}}, {"accounts": {"y": 2}}),
        ({"parents": {"x": "p", "y": "x", "z": "p"}}, {"parents": {"z": "p"}}),
        ({"by": {"parent": [{"group": "x"}, {"group": "y"}], "csm": [{"group": "x"}]}}, {"by": {"parent": [{"group": "y"}], "csm": [{"group": "x"}]}}),
        ({"accounts": {"y": {"parent_id": "x"}}}, {"accounts": {"y": {"parent_id": None}}}),
        ({"accounts": ["w", "x", "y"]}, {"accounts": ["w", "y"]}),
        ({"columns": ["account_id", "a"], "rows": [["x", 1], ["y", 2]]}, {"columns": ["account_id", "a"], "rows": [["y", 2]]}),
        ({"columns": {"account_id": ["x", "y"], "a": [1, 2]}}, {"columns": {"account_id": ["y"], "a": [2]}}),
        ({"version": "x", "band": "x", "accounts": 3}, {"version": "x", "band": "x", "accounts": 3}),
    ],
)  # fmt: skip
def test_only_entries_of_the_account_are_removed(document: Any, rest: Any) -> None:
    assert without_account(document, "x")[0] == rest
    assert without_account(rest, "x") == (rest, 0)


def test_the_only_account_of_a_date_takes_its_snapshot_with_it(
    own_home: Home, frame: pd.DataFrame, publish: Callable[..., Path]
) -> None:
    lonely = datetime(2026, 7, 8, tzinfo=UTC)
    publish(own_home, frame[frame["account_id"] == ACCOUNT].reset_index(drop=True), lonely)
    snapshots = SnapshotFiles(own_home)
    assert lonely in snapshots.dates()
    erase_account(own_home, Store.of(own_home), ACCOUNT, write=True)
    assert lonely not in snapshots.dates()


def test_contributions_of_the_other_accounts_stay_those_of_their_period(home: Home) -> None:
    snapshots = SnapshotFiles(home)
    parts = [(period, span) for period in ("quarter", "year") for span in ("now", "last")]

    def rows() -> list[pd.DataFrame]:
        found = [read_contributions(snapshots, AS_OF, *part) for part in parts]
        return [each.rows.table() for each in found if each is not None]

    before = rows()
    assert len(before) == len(parts)
    erase_account(home, Store.of(home), ACCOUNT, write=True)
    for old, new in zip(before, rows(), strict=True):
        pd.testing.assert_frame_equal(new, old[old["account_id"] != ACCOUNT].reset_index(drop=True))
