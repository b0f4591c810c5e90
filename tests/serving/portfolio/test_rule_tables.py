"""The rule tables: content, order, and completeness."""

from __future__ import annotations

import dataclasses
import io
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from features.signals.signals import OpenSignals
from models.artifacts.champion import load_champion
from models.health.rubric import load_rubric
from models.predictions.assessment import Assessment
from serving.cli.tables.rules import (
    EXPANSIONS,
    HEALTH,
    MAXIMUM_ROWS,
    ONBOARDING,
    RISKS,
    print_account,
    print_rule_table,
    spark,
)
from serving.portfolio.rule_tables import (
    disagreements_board,
    expansions_board,
    health_board,
    no_score_note,
    onboarding_board,
    risks_board,
)
from serving.scoring.score_portfolio import assess_portfolio

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def assessment(scored_home: Any, signals: OpenSignals) -> Assessment:
    return assess_portfolio(signals, AS_OF, scored_home.home, load_champion(scored_home.home))[0]


def test_every_account_is_listed_with_the_lowest_score_first(assessment: Assessment) -> None:
    board = health_board(assessment)
    assert sorted(board["account_id"]) == assessment.account_ids
    scores = board["health_score"].dropna()
    assert scores.is_monotonic_increasing
    without = board.iloc[len(scores) :]
    assert without["health_score"].isna().all()
    assert without.filter(like="_points").isna().all(axis=None)
    assert board.iloc[: len(scores)].filter(like="_points").notna().any(axis=None)


def test_red_comes_before_yellow_and_green_only_with_a_reason(assessment: Assessment) -> None:
    board = risks_board(assessment)
    order = [("red", "yellow", "green", "insufficient_data").index(band) for band in board["health_band"]]
    assert order == sorted(order)
    calm = board[~board["health_band"].isin(["red", "yellow"])]
    assert (calm["severity"].notna() | (calm["churn_band"] == "high")).all()
    called_for = board["play"].notna()
    assert (pd.to_datetime(board.loc[called_for, "due"]) >= pd.Timestamp(2026, 7, 1)).all()


def test_only_green_accounts_are_proposed_and_a_closed_gate_has_a_reason(assessment: Assessment) -> None:
    board = expansions_board(assessment)
    assert (board.loc[board["proposed"], "health_band"] == "green").all()
    shut = board["closed_by"].notna()
    assert not board.loc[shut, "proposed"].any()


def test_only_accounts_in_onboarding_are_listed(assessment: Assessment) -> None:
    board = onboarding_board(assessment)
    assert "a38" in set(board["account_id"])
    assert len(board) == sum(o.under_way for o in assessment.rule_results.onboarding)


def test_disagreements_are_in_different_bands_widest_gap_first(assessment: Assessment) -> None:
    board = disagreements_board(assessment)
    assert len(board) == sum(a in ("model_worse", "model_better") for a in assessment.agreement)
    gaps = board["gap"].abs().fillna(0.0).to_numpy()
    assert (np.diff(gaps) <= 0).all()


def test_views_and_accounts_are_printed_within_eighty_columns(assessment: Assessment) -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    for board, columns in (
        (health_board(assessment), HEALTH),
        (risks_board(assessment), RISKS),
        (expansions_board(assessment), EXPANSIONS),
        (onboarding_board(assessment), ONBOARDING),
    ):
        print_rule_table(board, columns, "a view", console)
    print_account(assessment, 5, console)
    text = console.export_text()
    assert "a05 as of 1 Jul 2026" in text
    assert "adds" in text


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_long_texts_are_complete_and_indented_at_every_width(assessment: Assessment, width: int) -> None:
    board = risks_board(assessment)
    console = Console(width=width, record=True, file=io.StringIO())
    print_rule_table(board, RISKS, "a view", console)
    text = console.export_text()
    words = set(text.split())
    for play in board["play"].dropna().head(MAXIMUM_ROWS):
        assert set(play.split()) <= words
    # Below the headings, only an account starts at the left.
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("account")) + 1
    starts = {line.split()[0] for line in lines[start:] if line and not line.startswith((" ", "and "))}
    assert starts <= set(board["account_id"])
    assert max(map(len, lines)) <= width


def test_the_sum_of_an_account_fits_eighty_columns_with_whole_names(assessment: Assessment) -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    print_account(assessment, 5, console)
    text = console.export_text()
    assert "\n  engagement.meetings_kept_share_182d " in text
    assert "…" not in text


def test_an_empty_table_has_a_message() -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    print_rule_table(pd.DataFrame(columns=list(HEALTH)), HEALTH, "no accounts", console)
    assert "none" in console.export_text()


def test_rubrics_that_could_score_are_named_where_the_one_in_use_cannot(assessment: Assessment) -> None:
    assert no_score_note(assessment) is None
    little = assessment.frame[["account_id", "as_of", "usage.seats_used_share", "usage.days_since_last", "support.open_tickets"]]
    rubric = load_rubric("product-relationship-outcomes")
    judged = dataclasses.replace(assessment.rule_results, health=rubric.score(little))
    without = dataclasses.replace(assessment, frame=little, rule_results=judged)
    note = no_score_note(without)
    assert note is not None
    assert "half of the weight of the rubric product-relationship-outcomes" in note
    able = load_rubric("spreadsheet").score(little).coverage.ge(0.5).sum()
    assert (f"--rubric spreadsheet scores {able} accounts" in note) == bool(able)


def test_history_of_scores() -> None:
    assert spark([0.0, 50.0, np.nan, 100.0]) == "▁▅ █"
