"""A simulated portfolio as exports of tools: ids, amounts, periods and histories."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pandas as pd
import pytest

from features.errors import BadRequest
from features.packs.inputs import Relation
from features.packs.pack import shipped_pack
from features.packs.queries import pack_queries
from training.simulation import SimulationSummary
from training.simulation.tools.identifiers import account_ids, with_checksum
from training.simulation.tools.stripe import subscription_terms
from training.simulation.tools.write import TOOLS, require_new, write_tools

Exports = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def exports(summary: SimulationSummary, tmp_path_factory: pytest.TempPathFactory) -> Exports:
    out = tmp_path_factory.mktemp("tools") / "exports"
    rows = write_tools(summary.folder, out, summary.end)
    assert {name.split("/")[0] for name in rows} == set(TOOLS)
    frames = {}
    for name, count in rows.items():
        file = out / name
        csv = file.with_suffix(".csv")
        frames[name] = pd.read_csv(csv) if csv.exists() else pd.read_parquet(file.with_suffix(".parquet"))
        assert len(frames[name]) == count
    return frames


def test_an_id_of_salesforce_has_the_published_checksum() -> None:
    assert with_checksum("001A0000006Vm9r") == "001A0000006Vm9rIAC"


def test_ids_are_unique_within_a_tool(tables: Exports) -> None:
    ids = account_ids(tables["accounts"]["account_id"]).values()
    stripe = [each for own in ids for each in (own.stripe, own.second_stripe) if each]
    salesforce = [each for own in ids for each in (own.salesforce, own.merged) if each]
    assert len(set(stripe)) == len(stripe) > len(ids)
    assert len(set(salesforce)) == len(salesforce) > len(ids)
    assert len({own.zendesk for own in ids}) == len(ids)


def test_every_term_keeps_its_arr_in_cents(exports: Exports, tables: Exports) -> None:
    ids = account_ids(tables["accounts"]["account_id"])
    terms = subscription_terms(tables["subscriptions"], ids)
    arr = sum(term.cents * 12 / term.months / 100 for term in terms)
    assert arr == pytest.approx(tables["subscriptions"]["arr"].sum(), rel=1e-4)
    whole_terms = exports["stripe/invoice_line_item"].query("not proration")
    assert whole_terms["amount"].sum() == sum(term.cents for term in terms if not term.mid_term)


def test_a_subscription_shows_only_its_newest_period(exports: Exports, tables: Exports) -> None:
    newest = exports["stripe/subscription"]
    running = tables["subscriptions"]["ended_at"].isna()
    assert (newest["status"] == "active").sum() == running.sum()
    ends = pd.to_datetime(newest.loc[newest["status"] == "active", "current_period_end"], unit="s", utc=True)
    renewals = tables["subscriptions"].loc[running, "renewal_at"]
    assert sorted(ends.dt.as_unit("s")) == sorted(renewals.dt.as_unit("s"))


def test_prorations_are_pairs_of_the_old_and_the_new_price(exports: Exports) -> None:
    lines = exports["stripe/invoice_line_item"].query("proration")
    assert len(lines) > 0
    for _, pair in lines.groupby("invoice_id"):
        assert sorted(pair["amount"] > 0) == [False, True]
        assert pair["price_id"].nunique() == 2


def test_the_stripe_pack_gives_back_the_periods_of_the_contract(exports: Exports, tables: Exports) -> None:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    relations = []
    for name, rows in exports.items():
        tool, _, table = name.partition("/")
        if tool == "stripe":
            connection.from_df(rows).create(table)
            described = connection.execute(f'DESCRIBE "{table}"').fetchall()
            relations.append(Relation(table, {column: kind for column, kind, *_ in described}))
    periods = connection.execute(pack_queries(shipped_pack("stripe"), relations).tables["subscriptions"]).df()
    owners = {stripe: account for account, own in account_ids(tables["accounts"]["account_id"]).items() for stripe in (own.stripe, own.second_stripe)}
    periods["account_id"] = periods["account_id"].map(owners)
    instants = ["started_at", "ended_at", "renewal_at"]

    def ordered(frame: pd.DataFrame) -> pd.DataFrame:
        in_seconds = {column: pd.to_datetime(frame[column], utc=True).dt.as_unit("s") for column in instants}
        return frame.assign(**in_seconds).sort_values(["account_id", "started_at", "plan"], ignore_index=True)

    periods, expected = ordered(periods), ordered(tables["subscriptions"])
    same = ["account_id", *instants, "plan", "end_reason"]
    pd.testing.assert_frame_equal(periods[same], expected[same], check_dtype=False)
    # Stripe bills whole cents, so that a year of months may differ by some.
    assert (periods["arr"] - expected["arr"]).abs().max() <= 0.07
    # A quantity of 1 is not read as seats.
    assert (periods["seats"].fillna(1) == expected["seats"].fillna(1).clip(lower=1)).all()


def test_a_merged_account_names_the_one_that_stayed(exports: Exports) -> None:
    accounts = exports["salesforce/account"]
    merged = accounts[accounts["is_deleted"]]
    assert len(merged) > 0
    assert set(merged["master_record_id"]) <= set(accounts.loc[~accounts["is_deleted"], "id"])
    assert exports["salesforce/event"]["account_id"].isin(accounts["id"]).all()


def test_tickets_are_solved_by_their_history(exports: Exports, tables: Exports, summary: SimulationSummary) -> None:
    history = exports["zendesk/ticket_field_history"].query("field_name == 'status' and value == 'solved'")
    solved = tables["support"]["resolved_at"] < pd.Timestamp(summary.end, tz="UTC")
    assert len(history) == solved.sum()
    assert len(exports["zendesk/ticket"]) == len(tables["support"])


def test_every_user_of_the_product_has_a_group(exports: Exports, tables: Exports) -> None:
    assert len(exports["segment/tracks"]) == len(tables["usage"])
    assert set(exports["segment/tracks"]["user_id"]) == set(exports["segment/groups"]["user_id"])
    assert (exports["segment/tracks"]["received_at"] >= exports["segment/tracks"]["original_timestamp"]).all()


@pytest.mark.slow
def test_the_exports_do_not_name_the_ids_of_the_data_contract(exports: Exports, tables: Exports) -> None:
    own = set(tables["accounts"]["account_id"])
    for name, frame in exports.items():
        shared = [column for column, values in frame.items() if own & set(values.dropna().astype(str))]
        assert not shared, f"{name}: {shared}"


def test_the_folder_must_be_new(tmp_path: Path) -> None:
    require_new(tmp_path / "new")
    with pytest.raises(BadRequest, match="already exists"):
        require_new(tmp_path)


def test_a_portfolio_of_orders_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="orders instead of subscriptions"):
        write_tools(tmp_path, tmp_path / "out", pd.Timestamp("2026-09-30").date())
