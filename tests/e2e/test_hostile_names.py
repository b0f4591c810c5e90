"""Names that contain terminal codes or markup are printed literally by every command."""

from __future__ import annotations

import os
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

AT = "2026-09-30"
#: Ids have no control characters, because these are refused.
ID, EVIL = "[red]x[/]:smile:\u202e\u200b\u2066", "[bold]\x1b]0;t\x07\x1b[2J\x9b31m\u202e\u200f\u061c\u200b[/]\rname"
ESCAPED = r"[red]x[/]:smile:\u202e\u200b\u2066"


def hidden_in(text: str) -> set[str]:
    return {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c not in "\n\t"}


@pytest.fixture(scope="module")
def hostile(world: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return signals of 40 accounts with hostile names of accounts, people and plans, in a folder with a hostile name."""
    some = pq.read_table(world.signals / "accounts.parquet")["account_id"][:40].combine_chunks()
    to = tmp_path_factory.mktemp("hostile") / f"signals{EVIL}".replace("/", "")
    shutil.copytree(world.signals, to)
    for path in to.rglob("*.parquet"):
        table = pq.ParquetFile(path).read()
        table = table.filter(pc.is_in(pc.cast(table["account_id"], pa.string()), value_set=some.cast(pa.string())))
        for place, name in enumerate(table.column_names):
            value = ID if name == "account_id" else EVIL if name in ("csm", "plan", "reason", "industry") else None
            if value is not None:
                text = pc.cast(table[name], pa.string())
                table = table.set_column(place, name, pc.binary_join_element_wise(text, pa.scalar(value), ""))
        pq.write_table(table, path)
    return to


AT_DATE = ("--as-of", AT)
#: Commands that read signals: the arguments before and after the source, and the exit code.
QUICK: tuple[tuple[tuple[str, ...], tuple[str, ...], int], ...] = (
    (("check",), (), 0),
    (("health",), AT_DATE, 0),
    (("worklist",), AT_DATE, 0),
    (("score",), ("--as-of", EVIL, "--out", "x.csv"), 2),
    (("health",), (*AT_DATE, "--rubric", EVIL), 2),
)
SLOW: tuple[tuple[tuple[str, ...], tuple[str, ...], int], ...] = (
    (("health",), (*AT_DATE, "--disagreements"), 0),
    (("risks",), AT_DATE, 0),
    (("expansions",), AT_DATE, 0),
    (("onboarding",), AT_DATE, 0),
    (("worklist",), (*AT_DATE, "--csm", EVIL), 2),
    (("renewals",), AT_DATE, 0),
    (("portfolio",), AT_DATE, 0),
)
#: Commands that read no signals.
OTHERS: tuple[tuple[tuple[str, ...], int], ...] = (
    (("keys", "list"), 0),
    (("keys", "revoke", EVIL), 2),
    (("webhooks", "list"), 0),
    (("webhooks", "remove", EVIL), 2),
    (("runs",), 0),
    (("promote", EVIL, EVIL, "--why", EVIL), 2),
    (("check", EVIL), 2),
    ((EVIL,), 2),
    (("check", "--" + EVIL), 2),
)


def literal(result: Any) -> bool:
    """Check that the output is literal, and return whether it contains an escape."""
    printed = result.stdout + result.stderr
    assert not hidden_in(printed), hidden_in(printed)
    assert "😄" not in printed
    return r"\u202e" in printed


@pytest.fixture(scope="module")
def home(world: Any, renewcast: Any, hostile: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("hostile") / "home"
    shutil.copytree(world.home, to)
    renewcast("home", hostile, "--same-portfolio", "--why", "ids were renamed", "--by", "the tests", home=to)
    return to


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows takes no such file names")
def test_names_are_printed_literally(renewcast: Any, hostile: Path, home: Path) -> None:
    account = pq.read_table(hostile / "accounts.parquet")["account_id"][0].as_py()
    renewcast("keys", "create", f"key {EVIL}", "--scope", "predict", home=home)
    outputs = [literal(renewcast(*a, hostile, *b, home=home, expect=code)) for a, b, code in QUICK]
    assert outputs[1], "the table of health names CSMs and plans"
    assert outputs[-1], "the message names the rubric that was asked for"
    assert [literal(renewcast(*a, home=home, expect=code)) for a, code in OTHERS].count(True) >= 4
    assert ESCAPED in renewcast("health", hostile, *AT_DATE, "--account", account, home=home).stdout
    assert renewcast("keys", "list", "--json", home=home).stdout.isascii()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
@pytest.mark.parametrize("command",
    [("serve", "--port", "0"), ("keys", "list"), ("rollback", "churn", "--why", "a mistake")],
    ids=["serve", "keys", "rollback"],
)
def test_a_home_that_is_a_file_is_refused_and_left_alone(
    renewcast: Any, tmp_path: Path, command: tuple[str, ...]
) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    file.chmod(0o644)
    assert "is a file" in renewcast(*command, home=file, expect=2).stderr
    assert file.stat().st_mode & 0o777 == 0o644


@pytest.mark.skipif(os.name == "nt", reason="Windows has other limits")
@pytest.mark.parametrize("command", [("check",), ("snapshot", "--as-of", "2026-09-30", "--out", "s.csv")])
def test_file_names_that_are_too_long_are_a_users_mistake(
    renewcast: Any, tmp_path: Path, command: tuple[str, ...]
) -> None:
    result = renewcast(command[0], "a" * 400, *command[1:], home=tmp_path / "home", expect=2)
    assert "a file name is too long" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows takes no such file names")
def test_all_other_commands_print_names_literally(renewcast: Any, hostile: Path, home: Path) -> None:
    account = pq.read_table(hostile / "accounts.parquet")["account_id"][0].as_py()
    assert [literal(renewcast(*a, hostile, *b, home=home, expect=code)) for a, b, code in SLOW].count(True) >= 5
    assert literal(renewcast("qbr", hostile, account, "--quarter", "2026Q3", home=home))
