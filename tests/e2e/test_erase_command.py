"""`renewcast erase` on a home that was trained and scored: no file contains the account any more."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from models.artifacts.identity_file import read_identity_file
from models.home import Home


def _with_account(home: Path, account: str) -> set[str]:
    """Return the files that contain the id of the account, in their bytes or in the rows of a table."""
    found = set()
    for path in (each for each in home.rglob("*") if each.is_file()):
        content = path.read_bytes()
        if path.suffix == ".parquet" and "account_id" in pq.read_schema(path).names:
            content += "\n".join(pq.read_table(path, columns=["account_id"])["account_id"].to_pylist()).encode()
        if account.encode() in content:
            found.add(path.relative_to(home).as_posix())
    return found


@pytest.mark.slow
def test_no_file_of_a_trained_home_contains_an_erased_account(world: Any, renewcast: Any, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(world.home, home, ignore=shutil.ignore_patterns("store.sqlite*"))
    identity = read_identity_file(Home(home))
    assert identity is not None
    tested = {each for path in home.rglob("predictions.parquet") for each in pq.read_table(path)["account"].to_pylist()}
    accounts = pd.read_csv(world.scores)["account_id"].tolist()
    digests = identity.hash_accounts(accounts).tolist()
    account, digest = next((a, d) for a, d in zip(accounts, digests, strict=True) if d in tested)
    renewcast("interventions", "start", account, "--note", "call", "--by", "Ada", home=home)
    before = _with_account(home, account)
    assert "store.sqlite" in {each.removesuffix("-wal") for each in before}
    assert any(each.startswith("snapshots/") for each in before)
    planned = renewcast("erase", account, home=home).stdout
    assert "this would be erased" in planned
    assert "run the command again with --yes" in planned
    assert _with_account(home, account) >= {each for each in before if "store" not in each}
    erased = json.loads(renewcast("erase", account, "--yes", "--json", home=home).stdout)
    assert erased["erased"]
    assert {each["where"].split("/")[0] for each in erased["removed"]} >= {
        "store: records",
        "snapshots",
        "mlartifacts",
        "portfolio.json",
    }
    assert any("signals at the source" in each for each in erased["stays"])
    assert _with_account(home, account) == set()
    assert all(digest not in pq.read_table(each)["account"].to_pylist() for each in home.rglob("predictions.parquet"))
    for text in (account, "unheard of"):
        assert "no account has this id or name" in renewcast("erase", text, "--yes", home=home, expect=2).stderr
