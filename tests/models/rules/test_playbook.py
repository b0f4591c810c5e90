"""The playbook on thousands of random accounts: plays never contradict the numbers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.peer_groups.rule_files import read_rules
from models.peer_groups.segments import segments_file
from models.rules.early_warnings import AccountWarning, WarningsFile
from models.rules.onboarding import MissedStep, OnboardingStatus
from models.rules.playbook import (
    ModelView,
    Playbook,
    PlaybookContext,
    PlaybookInputs,
    confirmed_warnings,
    decide_plays,
    urgent_warnings,
)
from models.rules.plays import AUTOMATED, EXECUTIVES, Cause, PlaysFile, Severity

AS_OF = datetime(2026, 6, 1, tzinfo=UTC)
RULES = read_rules("plays", PlaysFile)
SIGNS = read_rules("warnings", WarningsFile).warnings
QUIET = OnboardingStatus(400, False, (), (), None, None)
MISSED = OnboardingStatus(12, True, (MissedStep("single_user", 10, "a single user by day 10", "invite campaign"),), (), None, None)


def sign(code: str, standing: str = "risk") -> AccountWarning:
    rule = next(rule for rule in SIGNS if rule.code == code)
    return AccountWarning(code, rule.says, rule.severity, rule.cause, standing, AS_OF, False, ())  # type: ignore[arg-type]


def portfolio(n: int, seed: int) -> tuple[list[str], PlaybookInputs, ModelView]:
    """Return accounts with random values, some of them unknown."""
    rng = np.random.default_rng(seed)

    def some(*values: object) -> np.ndarray:
        return rng.choice(np.array(values, dtype=object), n)

    warnings = [
        sorted(
            (
                sign(SIGNS[i].code, rng.choice(["risk", "watch"]))
                for i in rng.choice(len(SIGNS), rng.integers(0, 4), replace=False)
            ),
            key=lambda s: (s.standing == "watch", ["immediate", "high", "medium", "early"].index(s.severity)),
        )
        for _ in range(n)
    ]
    unknown = np.where(rng.random(n) < 0.1, np.nan, 1.0)
    facts = PlaybookInputs(
        some("green", "green", "yellow", "red", "insufficient_data"),
        rng.uniform(0, 100, n) * unknown,
        some("usage", "support", "relationship", None),
        rng.uniform(-20, 400, n) * unknown,
        some(30.0, 365.0, np.nan).astype(float),
        rng.lognormal(10, 1, n),
        warnings,
        [MISSED if rng.random() < 0.1 else QUIET for _ in range(n)],
        rng.random(n) < 0.5,
        some("enterprise", "SMB", "self-serve", None),
    )
    view = ModelView(
        some("low", "low", "medium", "high", None), some("high", "low", None), rng.lognormal(6, 1, n) * unknown
    )
    return [f"a{i:04d}" for i in range(n)], facts, view


def decide(ids: list[str], facts: PlaybookInputs, view: ModelView, **options: object) -> Playbook:
    return decide_plays(ids, facts, view, RULES, segments_file(), PlaybookContext(AS_OF, **options))  # type: ignore[arg-type]


@settings(max_examples=15)
@given(st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_no_play_contradicts_the_numbers(n: int, seed: int) -> None:
    ids, facts, view = portfolio(n, seed)
    book = decide(ids, facts, view)
    assert sum(p is not None and p.who == EXECUTIVES for p in book.plays) <= max(1, int(0.05 * n))
    for row, play in enumerate(book.plays):
        plays = () if play is None else (play, *book.further[row])
        churn, health, signs = view.churn_band[row], facts.health_band[row], facts.warnings[row]
        at_risk = churn in ("medium", "high") or health in ("yellow", "red") or urgent_warnings(signs)
        for each in plays:
            assert each.due > AS_OF.date()
            assert not each.overdue
            assert each.because
        if any(p.kind == "save" for p in plays):
            assert at_risk
            assert not book.proposed[row]
        if not book.proposed[row] and any(RULES.kind_of(s.cause) != "billing" for s in urgent_warnings(signs)):
            assert play is not None
            assert play.kind == "save"
        if book.proposed[row]:
            assert (facts.gate_met[row], view.expansion_band[row]) == (True, "high")
            assert all(s.severity != "immediate" for s in confirmed_warnings(signs))
            assert churn != "high"
            assert play is None or play.severity != "high"
        if book.withdrawn[row] is not None:
            assert facts.gate_met[row]
            assert not book.proposed[row]
        if play is not None and play.who == EXECUTIVES and churn == "low":
            assert any(s.severity == "immediate" for s in confirmed_warnings(signs))
        if any(RULES.kind_of(s.cause) == "billing" for s in confirmed_warnings(signs)):
            assert [p.kind for p in plays].count("billing") == 1
        digital = facts.segments[row] == "self-serve" and all(s.severity != "immediate" for s in confirmed_warnings(signs))  # type: ignore[index]
        assert {p.who for p in plays if p.kind == "billing"} <= {AUTOMATED if digital else "billing"}
        if digital:
            assert {p.who for p in plays} <= {AUTOMATED}, "only automated plays"
            assert {p.severity for p in plays} <= {"low"}
        if any(p.kind == "renewal" for p in plays):
            assert len(plays) == 1
            assert 0 <= facts.days_to_renewal[row] <= 120


def test_executives_take_the_most_arr_at_risk() -> None:
    ids, facts, view = portfolio(400, 3)
    book = decide(ids, facts, view)
    rows = [row for row, p in enumerate(book.plays) if p is not None and p.who == EXECUTIVES]
    candidates = [
        row for row, p in enumerate(book.plays)
        if p is not None and p.kind == "save" and p.severity == "high" and facts.segments[row] in ("enterprise", None)  # type: ignore[index]
    ]
    assert len(rows) == 20 < len(candidates)
    assert min(view.value[rows]) == pytest.approx(book.executives_from)
    assert all(not view.value[row] > book.executives_from for row in set(candidates) - set(rows))
    for row in set(candidates) - set(rows):
        play = book.plays[row]
        assert play is not None
        assert play.who == "csm"
        assert (play.due - AS_OF.date()).days <= 3, "plays that exceed the capacity of executives are due within three days"


def test_executives_act_only_for_segments_with_a_named_csm() -> None:
    named = {s.name for s in segments_file().segments if s.touch.startswith("a named CSM")}
    assert set(RULES.executives.segments or ()) == named
    ids, facts, view = portfolio(400, 3)
    segments = [s.name for s in segments_file().segments]
    for name in [*segments, None]:
        for alone in ({}, {"alone": True, "executives_from": 0.0}):
            book = decide(ids, replace(facts, segments=np.full(400, name, dtype=object)), view, **alone)
            executive = [p for p in book.plays if p is not None and p.who == EXECUTIVES]
            assert bool(executive) == (name is None or name in named)
            others = [p for p in book.plays if p is not None and p.who != EXECUTIVES]
            assert not any("executive" in p.act for p in others), "the CSM does not get the action of executives"
    open_to_all = RULES.model_copy(update={"executives": RULES.executives.model_copy(update={"segments": None})})
    smb = replace(facts, segments=np.full(400, "SMB", dtype=object))
    book = decide_plays(ids, smb, view, open_to_all, segments_file(), PlaybookContext(AS_OF))
    assert any(p is not None and p.who == EXECUTIVES for p in book.plays)


def test_an_account_with_a_named_csm_gets_no_automated_play() -> None:
    named = {s.name for s in segments_file().segments if s.touch.startswith("a named CSM")}
    assert set(RULES.least_severity_of_segment) == named
    ids, facts, view = portfolio(400, 5)
    pooled, enterprise = (
        decide(ids, replace(facts, segments=np.full(400, name, dtype=object)), view) for name in ("SMB", "enterprise")
    )
    assert any(play is not None and play.kind == "save" and play.who == AUTOMATED for play in pooled.plays)
    for one, other in zip(pooled.plays, enterprise.plays, strict=True):
        assert (one is None) == (other is None), "the reasons for a play do not depend on the segment"
        assert other is None or other.who != AUTOMATED


def test_the_segment_limits_the_play_unless_an_immediate_warning_counts() -> None:
    assert set(RULES.severity_of_segment) == {s.name for s in segments_file().segments if s.touch == "digital only"}
    ids, facts, view = portfolio(400, 3)
    by_segment = {name: replace(facts, segments=np.full(400, name, dtype=object)) for name in ("SMB", "self-serve")}
    pooled, digital = (decide(ids, each, view) for each in by_segment.values())
    urgent = [any(s.severity == "immediate" for s in confirmed_warnings(signs)) for signs in facts.warnings]
    assert 0 < sum(urgent) < 400
    for row, (one, other) in enumerate(zip(pooled.plays, digital.plays, strict=True)):
        assert (one is None) == (other is None), "the reasons for a play do not depend on the segment"
        if one is not None and other is not None and not urgent[row]:
            assert (other.who, other.kind, other.because) == (AUTOMATED, one.kind, one.because)
        elif one is not None and other is not None:
            assert (other.severity, other.kind, other.because) == (one.severity, one.kind, one.because)
            assert (other.who == AUTOMATED) == (one.who == AUTOMATED)


def test_a_single_account_gets_the_same_plays_as_in_its_portfolio() -> None:
    """Executives act from the portfolio's threshold of ARR at risk; without a threshold, the CSM acts."""
    ids, facts, view = portfolio(300, 5)
    book = decide(ids, facts, view)
    for row in range(0, 300, 7):
        one = slice(row, row + 1)
        own = replace(facts, **{name: values[one] for name, values in vars(facts).items()})
        own_view = ModelView(view.churn_band[one], view.expansion_band[one], view.value[one])
        alone = decide(ids[one], own, own_view, alone=True, executives_from=book.executives_from)
        assert (alone.plays[0], alone.further[0], bool(alone.proposed[0])) == (
            book.plays[row],
            book.further[row],
            bool(book.proposed[row]),
        )
        unknown = decide(ids[one], own, own_view, alone=True)
        assert unknown.plays[0] is None or unknown.plays[0].who != EXECUTIVES


def test_an_open_play_has_its_first_due_date_until_the_play_changes() -> None:
    ids, facts, view = portfolio(200, 8)
    first = decide(ids, facts, view)
    long_ago = {a: {p.cause: date(2026, 5, 20)} for a, p in zip(ids, first.plays, strict=True) if p is not None}
    again = decide(ids, facts, view, open_plays=long_ago)
    for before, current in zip(first.plays, again.plays, strict=True):
        if current is None or current.who == AUTOMATED:
            assert current == before, "automated plays are never overdue"
        else:
            assert (current.due, current.overdue, current.again) == (date(2026, 5, 20), True, True)
    other = decide(ids, facts, view, open_plays={a: {"something_else": date(2026, 5, 20)} for a in ids})
    assert other.plays == first.plays


#: By warning: words that its medium play must contain.
EXPECTED_WORDS = {
    "usage_down": "check-in", "detractor": "call the respondent", "escalations": "tickets", "use_falling": "check-in",
    "qbr_missed": "check-in", "few_features": "training", "tickets_rising": "tickets", "no_shows_rising": "check-in",
    "champion_lost": "introduction call", "competitor": "evaluation call", "new_decision_maker": "introduction call",
    "payment_failed": "new card", "past_due": "new card", "invoice_overdue": "bank transfer", "invoice_long_overdue": "bank transfer",
    "payment_disputed": "answers the dispute", "refunded": "business review", "credited_often": "business review", "budget_review": "budget", "unsigned": "signature", "sponsor_left": "introduction call",
    "onboarding_stalled": "training", "slow_replies": "check-in", "renewal_call_churn": "business review",
    "renewal_call_at_risk": "business review", "judged_red": "business review", "subscription_paused": "business review",
    "low_csat": "call the respondent", "negative_tickets": "tickets", "layoffs": "budget", "renewal_unprepared": "check-in",
}  # fmt: skip


@pytest.mark.parametrize("rule", [rule for rule in SIGNS if rule.code in EXPECTED_WORDS], ids=lambda rule: rule.code)
def test_the_play_fits_the_warning(rule: object) -> None:
    words = next(p for p in RULES.plays if p.cause == rule.cause)  # type: ignore[attr-defined]
    assert EXPECTED_WORDS[rule.code] in words.medium  # type: ignore[attr-defined]


def test_every_shipped_warning_has_expected_words() -> None:
    assert {rule.code for rule in SIGNS} - {"notice_given"} <= set(EXPECTED_WORDS)


def test_billing_handles_a_failed_payment_without_a_lower_price() -> None:
    causes: dict[str, Cause] = {rule.code: rule.cause for rule in SIGNS}
    severities: dict[str, Severity] = {rule.code: rule.severity for rule in SIGNS}
    assert severities["payment_failed"] == "immediate"
    words = next(p for p in RULES.plays if p.cause == causes["payment_failed"])
    assert (words.kind, words.who) == ("billing", "billing")
    assert not any("concession" in text or "terms" in text for text in (words.low, words.medium, words.high))


def test_an_increase_in_usage_causes_no_save_play() -> None:
    cause = read_rules("warnings", WarningsFile).unusual.cause_of_increase
    assert RULES.kind_of(cause) == "note"
    assert not any(
        "re-engagement" in text for p in RULES.plays if p.cause == cause for text in (p.low, p.medium, p.high)
    )


def test_executive_capacity_per_week_is_the_same_for_daily_publications() -> None:
    """Use a portfolio in which the accounts with the largest ARR at risk change every day."""
    ids, facts, _ = portfolio(400, 3)
    rng = np.random.default_rng(1)
    assignments: dict[str, datetime] = {}
    assigned_on: dict[datetime, set[str]] = {}
    previous: set[str] = set()
    for day in range(21):
        as_of = AS_OF + timedelta(days=day)
        view = ModelView(np.full(400, "high", dtype=object), np.full(400, None, dtype=object), rng.lognormal(6, 1, 400))
        context = PlaybookContext(as_of, assignments=assignments)
        book = decide_plays(ids, facts, view, RULES, segments_file(), context)
        again = decide_plays(ids, facts, view, RULES, segments_file(), replace(context, assignments=book.assignments))
        assert (again.plays, again.assignments) == (book.plays, book.assignments), "publishing again gives the same result"
        current = {a for a, p in zip(ids, book.plays, strict=True) if p is not None and p.who == EXECUTIVES}
        assert len(current) <= 20
        assigned_on[as_of] = {a for a, at in book.assignments.items() if at == as_of}
        assert current <= set(book.assignments)
        assert previous & set(book.assignments) <= current, "plays assigned this week remain assigned"
        week = [assigned_on[at] for at in assigned_on if as_of - timedelta(days=7) < at]
        assert sum(map(len, week)) <= 20
        assignments, previous = dict(book.assignments), current
    assert [len(each) for each in assigned_on.values()] == [20, *[0] * 6] * 3
    # A single account gets the same play as in the portfolio.
    for row in range(0, 400, 9):
        one = slice(row, row + 1)
        own = replace(facts, **{name: values[one] for name, values in vars(facts).items()})
        own_view = ModelView(view.churn_band[one], view.expansion_band[one], view.value[one])
        alone = PlaybookContext(as_of, alone=True, executives_from=book.executives_from, assignments=book.assignments)
        (play,) = decide_plays(ids[one], own, own_view, RULES, segments_file(), alone).plays
        assert (play and play.who) == (book.plays[row] and book.plays[row].who)
