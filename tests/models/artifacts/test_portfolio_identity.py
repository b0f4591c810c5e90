"""Signals match the portfolio of a home if it grew, shrank or is given in part; other portfolios do not match."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import BadRequest, BundleError, HomeError
from models.artifacts import home_portfolio, portfolio_identity
from models.artifacts.bundle import write_bundle
from models.artifacts.champion import champion_entry, load_champion
from models.artifacts.champion_pointer import ChampionPointer, write_pointer
from models.artifacts.home_portfolio import (
    PortfolioMismatchError,
    read_identity,
    record_same_portfolio,
    require_portfolio,
)
from models.artifacts.identity_file import write_identity_file
from models.artifacts.portfolio_identity import PortfolioIdentity, SignalsPortfolio
from models.home import Home

TABLES = ("accounts", "subscriptions", "usage")


def portfolio(ids: Sequence[str], name: str = "acme", kind: Any = "contractual", year: int = 2020, tables: tuple[str, ...] = TABLES) -> SignalsPortfolio:
    """Accounts created a month apart, by their position among the ids; numeric ids by their number."""
    created = [datetime(year, 1, 1) + timedelta(days=31 * (int(i) if i.isdigit() else k) % 2000) for k, i in enumerate(ids)]
    return SignalsPortfolio(name, kind, tables, list(ids), created)


def numbers(start: int, stop: int) -> list[str]:
    return [str(i) for i in range(start, stop)]


def is_same(identity: PortfolioIdentity, result: SignalsPortfolio) -> bool:
    return identity.overlap(result).is_same


@settings(max_examples=25)
@given(
    accounts=st.integers(1, 1500), lost_share=st.floats(0, 0.75), new=st.integers(0, 2500), most=st.sampled_from([512, 65_536])
)
def test_growing_portfolios_are_accepted_and_others_rejected(accounts: int, lost_share: float, new: int, most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(portfolio_identity, "HOME_SAMPLE", most)
        home = PortfolioIdentity.of(portfolio(numbers(0, accounts)))
        later = portfolio(numbers(int(accounts * lost_share), accounts + new))
        assert is_same(home, later)
        assert is_same(home.with_signals(later), portfolio(numbers(0, accounts)))
        others = home.overlap(portfolio([f"x{i}" for i in range(max(new, 200))]))
        assert not others.is_same or others.shared is None
        assert len(home.sampled[0]) <= most


def test_a_subset_matches_and_keeps_the_known_accounts() -> None:
    home = PortfolioIdentity.of(portfolio(numbers(0, 500)))
    for part in (numbers(0, 3), numbers(100, 150)):
        assert is_same(home, portfolio(part))
        home = home.with_signals(portfolio(part))
    assert home.accounts == 500
    assert is_same(home, portfolio(numbers(400, 410)))


def test_month_of_creation_distinguishes_ids_shared_by_chance() -> None:
    home = PortfolioIdentity.of(portfolio(numbers(1, 200)))
    overlap = home.overlap(portfolio(numbers(1, 150), year=2011))
    assert overlap.shared == 1.0
    assert overlap.same_month is not None
    assert overlap.same_month < 0.1
    assert not overlap.is_same
    # Neither is a handful of accounts, on either side.
    assert not is_same(home, portfolio(numbers(1, 6), year=2011))
    assert not is_same(PortfolioIdentity.of(portfolio(numbers(1, 6))), portfolio(numbers(1, 150), year=2011))
    # A few corrected dates are no other company.
    corrected = portfolio(numbers(1, 200))
    created = [at + timedelta(days=400 if k % 4 == 0 else 0) for k, at in enumerate(corrected.created) if at]
    assert is_same(home, dataclasses.replace(corrected, created=created))


@pytest.mark.parametrize(("shared", "same"), [(0.15, False), (0.25, True)])
def test_limit_is_a_fifth_of_the_smaller_set(shared: float, same: bool) -> None:
    home = PortfolioIdentity.of(portfolio(numbers(0, 1000)))
    assert is_same(home, portfolio([*numbers(0, int(200 * shared)), *(f"new{i}" for i in range(int(200 * (1 - shared))))])) is same


def test_large_portfolios_are_sampled_without_plain_ids() -> None:
    ids = [f"customer-{i}" for i in range(100_000)]
    home = PortfolioIdentity.of(portfolio(ids))
    text = home.model_dump_json()
    assert "customer" not in text
    assert len(text) < 1_000_000
    assert not home.complete
    assert home.accounts == pytest.approx(100_000, rel=0.02)
    bundle = home.for_bundle()
    assert len(bundle.model_dump_json()) < 40_000
    for available in (home, bundle):
        assert is_same(available, portfolio(ids[:60_000]))
        assert is_same(available, portfolio(ids[40_000:] + [f"later-{i}" for i in range(30_000)]))
        assert not is_same(available, portfolio([f"other-{i}" for i in range(5000)]))
    assert PortfolioIdentity.model_validate_json(text) == home


def test_what_the_newest_signals_can_record_is_kept() -> None:
    def stating(tables: tuple[str, ...], **records: Any) -> SignalsPortfolio:
        return dataclasses.replace(portfolio(numbers(0, 9), tables=tables), records=records)

    home = PortfolioIdentity.of(stating(TABLES, usage={"product": frozenset({"b", "a"})}))
    assert home.for_bundle().records == {"usage": {"product": ("a", "b")}}
    assert PortfolioIdentity.model_validate_json(home.model_dump_json()) == home
    # A table that is not read this time is remembered, until a training does without it.
    fewer = stating(("accounts", "subscriptions"), subscriptions={"end_reason": frozenset[str]()})
    stated = {"subscriptions": {"end_reason": ()}}
    assert home.with_signals(fewer).records == {**stated, "usage": {"product": ("a", "b")}}
    assert home.with_signals(fewer, trained=True).records == stated
    # What can have any value again is no longer listed.
    assert home.with_signals(portfolio(numbers(0, 9))).records == {}


def test_two_homes_hash_the_same_ids_differently() -> None:
    one, two = (PortfolioIdentity.of(portfolio(numbers(0, 50))) for _ in range(2))
    assert one.sample != two.sample
    assert one.id != two.id


ACCOUNTS = [{"account_id": f"a{i}", "created_at": f"20{10 + i % 10}-0{1 + i % 9}-01"} for i in range(30)]
RUNNING = [{"account_id": f"a{i}", "started_at": "2025-01-01", "arr": 1.0} for i in range(30)]
ORDERS = [{"account_id": f"a{i}", "occurred_at": "2025-02-01", "amount": 1.0} for i in range(30)]
USAGE = [{"account_id": "a1", "occurred_at": "2025-02-01"}]
Make = Callable[..., Any]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def test_homes_accept_the_first_portfolio_and_reject_others(home: Home, make_signals: Make, caplog: pytest.LogCaptureFixture) -> None:
    own = make_signals({"accounts": ACCOUNTS, "subscriptions": RUNNING, "usage": USAGE})
    assert require_portfolio(home, own).name == "a test"
    assert read_identity(home) is None
    first = require_portfolio(home, own, "acme", keep=True)
    assert first.known_share is None or first.known_share == 1.0
    assert (read_identity(home), first.tables) == (first, ("accounts", "subscriptions", "usage"))
    # A missing table causes a warning; a new one does not.
    fewer = make_signals({"accounts": ACCOUNTS, "subscriptions": RUNNING})
    assert require_portfolio(home, fewer, keep=True).id == first.id
    assert "Tables that acme had before are missing: usage" in caplog.text
    caplog.clear()
    require_portfolio(home, own)
    assert not caplog.text
    # Orders are another kind of business, though the accounts are the same.
    with pytest.raises(PortfolioMismatchError, match="orders without subscriptions") as refused:
        require_portfolio(home, make_signals({"accounts": ACCOUNTS, "orders": ORDERS}), keep=True)
    assert "RENEWCAST_HOME=FOLDER renewcast train SIGNALS" in str(refused.value)
    assert "--same-portfolio" not in str(refused.value)
    with pytest.raises(PortfolioMismatchError, match="the name is globex"):
        require_portfolio(home, own, "globex")
    assert read_identity(home) == require_portfolio(home, own)


def test_a_person_can_state_that_new_ids_are_the_same_portfolio(home: Home, make_signals: Make) -> None:
    own = make_signals({"accounts": ACCOUNTS, "subscriptions": RUNNING})
    renamed = make_signals({n: [r | {"account_id": f"crm-{r['account_id']}"} for r in rows] for n, rows in (("accounts", ACCOUNTS), ("subscriptions", RUNNING))})
    with pytest.raises(BadRequest):
        record_same_portfolio(home, renamed, "Ada", "why")
    first = require_portfolio(home, own, keep=True)
    with pytest.raises(PortfolioMismatchError, match="0% of the 30 account ids are known") as refused:
        require_portfolio(home, renamed, keep=True)
    assert "renewcast home SIGNALS --same-portfolio --why TEXT" in str(refused.value)
    accepted = record_same_portfolio(home, renamed, "Ada", "moved to another CRM")
    assert (accepted.id, [(each.who, each.why) for each in accepted.same]) == (first.id, [("Ada", "moved to another CRM")])
    assert require_portfolio(home, renamed, keep=True).same == accepted.same
    with pytest.raises(PortfolioMismatchError, match="orders"):
        record_same_portfolio(home, make_signals({"accounts": ACCOUNTS, "orders": ORDERS}), "Ada", "why")


def test_other_bundles_are_rejected_and_lost_files_restored(
    home: Home, parts: Make, make_signals: Make, catalogue: Any, rubric: Any
) -> None:
    own = make_signals({"accounts": ACCOUNTS, "subscriptions": RUNNING})
    identity = require_portfolio(home, own, keep=True)
    bundle = write_bundle(home.bundle_folder("churn", "1"), parts(portfolio=identity), catalogue)
    write_pointer(home, ChampionPointer(promoted_at=datetime(2026, 1, 1, tzinfo=UTC), churn=champion_entry(home, bundle), rubric=rubric.name))
    assert load_champion(home, catalogue).bundles["churn"].manifest.portfolio == identity.for_bundle()
    home.portfolio_file.unlink()
    restored = read_identity(home)
    assert restored is not None
    assert restored.id == identity.id
    write_identity_file(home, PortfolioIdentity.of(portfolio(numbers(0, 9), name="globex")))
    with pytest.raises(BundleError, match=r"trained on the portfolio a test .contractual., but this home belongs to globex"):
        load_champion(home, catalogue)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"id": "x"}', "{" * 10_000])
def test_broken_files_are_named(home: Home, content: str) -> None:
    home.root.mkdir()
    home.portfolio_file.write_text(content)
    with pytest.raises(HomeError, match=r"portfolio\.json"):
        read_identity(home)


def test_tampered_samples_are_rejected(home: Home) -> None:
    home.root.mkdir()
    content = json.loads(PortfolioIdentity.of(portfolio(numbers(0, 9))).model_dump_json())
    for sample in ("!", content["sample"][:-4] + "AAA", content["sample"][::-1]):
        home.portfolio_file.write_text(json.dumps(content | {"sample": sample}))
        with pytest.raises(HomeError, match=r"portfolio\.json"):
            read_identity(home)


@pytest.mark.parametrize(
    ("origin", "name"),
    [("/data/acme", "acme"), ("/data/acme.toml", "acme"), ("postgresql://h/crm", "crm"), ("duckdb:///x/y.duckdb", "y"), ("/", "portfolio")],
)
def test_name_is_the_last_part_of_the_address(origin: str, name: str) -> None:
    assert home_portfolio._name_of(origin) == name
