"""Dates of each champion, in tables that can be checked by eye.

Times are days (and a fraction) from 2026-01-01 on the clock. Each line is a change of champion: when, of which version;
when that was trained, on what was known before which day; and the dates in the signals that it answered for.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from features.errors import BundleError
from models.artifacts.bundle import Bundle
from models.artifacts.champion_pointer import ChampionChange, ChampionEntry, ChampionPointer
from training.registry.champion_history import champion_periods, periods_by_champion

DAY_0 = datetime(2026, 1, 1, tzinfo=UTC)

CASES = {
    "trained every month": """
    at    | version | created | through | answers
    0.4   | 1       | 0.3     | 0       | 0..28
    28.4  | 2       | 28.3    | 28      | 28..56
    56.4  | 3       | 56.3    | 56      | 56..
    """,
    "signals are two days old when they arrive": """
    at    | version | created | through | answers
    10.4  | 1       | 10.3    | 8       | 8..38
    40.4  | 2       | 40.3    | 38      | 38..
    """,
    "the second was promoted by hand, a month after its training": """
    at    | version | created | through | answers
    0.4   | 1       | 0.3     | 0       | 0..58
    58.4  | 2       | 28.4    | 28      | 58..
    """,
    "the second was taken back": """
    at    | version | created | through | answers
    0.4   | 1       | 0.3     | 0       | 0..28
    28.4  | 2       | 28.3    | 28      | 28..35
    35.4  | 1       | 0.3     | 0       | 35..
    """,
    "all trained today, on the signals of past months": """
    at    | version | created | through | answers
    300.1 | 1       | 300.0   | 0       | 0..28
    300.3 | 2       | 300.2   | 28      | 28..
    """,
    "signals that are ahead of the clock": """
    at    | version | created | through | answers
    0.4   | 1       | 0.3     | 100     | 100..
    """,
    "the first one's bundle is gone": """
    at    | version | created | through | answers
    0.4   | 1       | -       | -       | 0..28
    28.4  | 2       | 28.3    | 28      | 28..
    """,
    "the first one ended more than two years ago": """
    at    | version | created | through | answers
    -900  | 1       | -900    | -900    |
    -800  | 2       | -800    | -800    | -800..0
    0.4   | 3       | 0.3     | 0       | 0..
    """,
}


def _at(days: str) -> datetime:
    return DAY_0 + timedelta(days=float(days))


def _bundle(created: str, through: str) -> Any:
    manifest = type("Manifest", (), {"created_at": _at(created), "trained_through": _at(through)})
    return type("Bundle", (), {"manifest": manifest})


def _pointed(version: str) -> ChampionEntry:
    return ChampionEntry(version=version, folder=f"bundles/churn/{version}-run")


@pytest.mark.parametrize("table", CASES.values(), ids=list(CASES))
def test_each_champion_has_its_dates(table: str) -> None:
    lines = [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()[1:]]
    versions = {version: (created, through) for _, version, created, through, _ in lines}

    def load(champion: ChampionEntry) -> Bundle:
        created, through = versions[champion.version]
        if created == "-":
            raise BundleError("it is gone")
        bundle: Bundle = _bundle(created, through)
        return bundle

    history = tuple(
        ChampionChange(at=_at(at), what="promoted", target="churn", champion=_pointed(version), who="Ada", why="a test")
        for at, version, *_ in lines
    )
    pointer = ChampionPointer(churn=history[-1].champion, promoted_at=history[-1].at, history=history)
    periods = champion_periods(pointer, "churn", DAY_0 + timedelta(days=60 if "-900" not in table else 0), load)
    wanted = [(version, *answers.split("..")) for _, version, _, _, answers in lines if answers]
    assert [
        (one.champion.version, f"{(one.since - DAY_0).days}", f"{(one.until - DAY_0).days}" if one.until else "")
        for one in periods
    ] == wanted
    assert [one.bundle is None for one in periods] == [versions[one.champion.version][0] == "-" for one in periods]


def test_without_a_history_the_champion_is_in_use_since_its_training() -> None:
    pointer = ChampionPointer(churn=_pointed("1"), promoted_at=_at("5"))
    (only,) = champion_periods(pointer, "churn", DAY_0, lambda _: _bundle("4.9", "3"))
    assert (only.champion.version, only.since, only.until) == ("1", _at("3"), None)
    assert champion_periods(pointer, "expansion", DAY_0, lambda _: _bundle("4.9", "3")) == ()


def test_periods_of_one_champion_are_grouped_and_the_present_one_is_last() -> None:
    pointer = ChampionPointer(
        churn=_pointed("1"),
        promoted_at=_at("20"),
        history=tuple(
            ChampionChange(at=_at(at), what="promoted", target="churn", champion=_pointed(version), who="Ada", why="a test")
            for at, version in (("0", "1"), ("10", "2"), ("20", "1"))
        ),
    )
    periods = periods_by_champion(champion_periods(pointer, "churn", DAY_0, lambda _: _bundle("0", "0")))
    assert [(one.version, len(part)) for one, part in periods.items()] == [("2", 1), ("1", 2)]
