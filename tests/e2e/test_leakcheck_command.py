"""`renewcast leakcheck` through the command line, and its report with every training run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest


@pytest.fixture(scope="module")
def small(renewcast: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place: Path = tmp_path_factory.mktemp("small")
    renewcast("simulate", place / "signals", "--accounts", "90", "--weeks", "80", "--seed", "4", home=place / "home")
    # The time depends on the number of tables. A training run and its leak check read all of them.
    for name in ("company", "engagement", "interventions", "outcomes", "relationship", "usage"):
        (place / "signals" / f"{name}.parquet").unlink()
    return place / "signals"


def test_no_leak_is_exit_code_0_and_the_verdict_comes_last(renewcast: Any, small: Path, tmp_path: Path) -> None:
    result = renewcast("leakcheck", small, home=tmp_path / "home")
    assert "no leak found" in result.stdout[result.stdout.index("verdict") :]
    assert "future dropped" in result.stdout
    assert not (tmp_path / "home").exists()


@pytest.mark.slow
def test_a_status_of_accounts_that_left_is_exit_code_1(renewcast: Any, small: Path, tmp_path: Path) -> None:
    leaky = tmp_path / "leaky"
    shutil.copytree(small, leaky)
    accounts, terms = (pq.read_table(small / f"{name}.parquet") for name in ("accounts", "subscriptions"))
    running = {row["account_id"] for row in terms.to_pylist() if row["ended_at"] is None}
    status = ["SECRET" if a not in running else "x" for a in accounts["account_id"].to_pylist()]
    place = accounts.column_names.index("industry")
    pq.write_table(accounts.set_column(place, "industry", pa.array(status)), leaky / "accounts.parquet")
    result = renewcast("leakcheck", leaky, "--json", home=tmp_path / "home", expect=1)
    payload = json.loads(result.stdout)
    assert payload["ok"] is False
    # The churn rate of the industry is computed from the leaking column.
    leaking = {f["subject"] for f in payload["findings"] if f["severity"] == "failure"}
    assert leaking == {"account.industry", "peers.industry_churn_364d"}
    assert "SECRET" not in result.stdout + result.stderr


def test_a_broken_source_is_exit_code_2(renewcast: Any, tmp_path: Path) -> None:
    result = renewcast("leakcheck", tmp_path / "nowhere", home=tmp_path / "home", expect=2)
    assert "no signals source" in result.stderr
