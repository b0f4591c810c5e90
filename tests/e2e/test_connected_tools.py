"""A company whose truth is known, read from the exports of its four tools: the same figures, and a judged model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.signals.signals import open_signals
from features.snapshots.snapshot import snapshot
from features.utils.dates import Grid
from training.simulation.tools.identifiers import account_ids

pytestmark = pytest.mark.slow

QUICK = "every_days = 14\ntrials = 1\nresamples = 100\nfolds = 2\n"
AT = pd.Timestamp("2026-08-01", tz="UTC").to_pydatetime()
#: Equal for every account.
EXACT = ("contract.arr", "contract.days_to_renewal", "contract.renewals", "contract.term_days")
#: Equal for nearly every account: the tools do not know when a late row arrived.
SAME = (
    *EXACT,
    # A quantity of 1 may be a flat fee, so it is not read as seats.
    "contract.seats",
    *(
        "usage.active_users_28d",
        "usage.active_users_91d",
        "usage.events_28d",
        "usage.events_91d",
        "usage.days_since_last",
    ),
    *("support.tickets_28d", "support.tickets_91d", "support.open_tickets", "support.resolution_hours_91d"),
)
#: What no tool records, and what only another tool would: unknown, never zero.
UNKNOWN = (
    *("relationship.champions", "relationship.executive_sponsors", "billing.budget_reviews_91d"),
    *("engagement.qbrs_held_182d", "engagement.community_posts_91d", "outcomes.nps_last", "company.layoffs_182d"),
)


def _features(address: Path) -> pd.DataFrame:
    opened = open_signals(address)
    frame = snapshot(opened, Grid.single(AT)).set_index("account_id").sort_index()
    opened.close()
    return frame


@pytest.fixture(scope="module")
def company(renewcast: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("company")
    renewcast(
        *("simulate", folder / "truth", "--accounts", "300", "--weeks", "104", "--seed", "5"),
        *("--tools", folder / "tools"),
        home=folder / "home",
    )
    renewcast("connect", folder / "tools", "--out", folder / "mapping.toml", home=folder / "home")
    return folder


def test_the_tools_give_the_features_of_the_truth(company: Path) -> None:
    truth, ours = _features(company / "truth"), _features(company / "mapping.toml")
    accounts = pd.read_parquet(company / "truth" / "accounts.parquet")["account_id"]
    to_salesforce = {name: own.salesforce for name, own in account_ids(accounts).items()}
    truth = truth.rename(index=to_salesforce).sort_index()
    assert list(truth.index) == list(ours.index)
    for name in SAME:
        same = np.isclose(truth[name], ours[name], rtol=1e-3, atol=1e-3, equal_nan=True)
        assert same.mean() >= (1.0 if name in EXACT else 0.95), f"{name}: {same.mean():.3f}"
    assert ours[list(UNKNOWN)].isna().all().all()


def test_check_and_connect_say_the_same_line_as_the_truth(company: Path, renewcast: Any) -> None:
    lines = {
        json.loads(renewcast("check", company / name, "--json", home=company / "home").stdout)["portfolio"]["line"]
        for name in ("truth", "mapping.toml")
    }
    assert len(lines) == 1


def test_a_model_is_trained_and_judged(company: Path, renewcast: Any) -> None:
    config = company / "quick.toml"
    config.write_text(QUICK, encoding="utf-8")
    report = json.loads(
        renewcast("train", company / "mapping.toml", "--config", config, "--json", home=company / "trained").stdout
    )
    for target in ("churn", "expansion"):
        assert report["targets"][target]["judgement"]["size"]["accounts_with_outcome"] > 20, target
