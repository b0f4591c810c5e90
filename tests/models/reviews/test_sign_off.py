"""Sign-off by two people: who may sign second, what they sign, when a first signature lapses, and what is recorded."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from features.errors import BadRequest, HomeError
from models.artifacts.champion import load_champion
from models.health.rubric import load_rubric
from models.health.rubric_versions import (
    DecisionTerms,
    HistoryFile,
    PendingDecision,
    ReviewDecision,
    ReviewedHashes,
    RubricVersion,
    Signature,
    load_rubric_history,
    read_history,
    sha256,
    signature_hash,
    signed_with_version,
    write_history,
)
from models.health.score_calibration import SCORES, BandRate, RubricFacts, ScoreCalibration
from models.home import Home
from models.reviews.review_store import find_review, list_reviews
from models.reviews.sign_off import (
    AlreadyDecided,
    ReviewChanged,
    SameSigner,
    Signer,
    TermsDiffer,
    earliest_for_review,
    lapse_reason,
    sign_rollback,
)
from tests.models.health.test_rubric_versions import DATA, write_review
from tests.models.health.test_rubric_versions import sign_once as sign

ADA, GRACE, MARY = Signer("key_1", "Ada"), Signer("key_2", "Grace"), Signer("key_3", "Mary")


@pytest.fixture
def home(tmp_path: Any) -> Home:
    return Home(tmp_path / "home")


def begin(home: Home, review: str, signer: Signer = ADA, **more: Any) -> PendingDecision:
    signed = sign(home, review, signer, **{"owner": "owner", "data_fingerprint": DATA} | more)
    assert signed.decision is None
    assert signed.pending is not None
    return signed.pending


def test_the_second_signature_completes_the_decision(home: Home) -> None:
    review = write_review(home)
    pending = begin(home, review, why="as shown")
    assert [each.state for each in list_reviews(home)] == ["pending"]
    assert load_champion(home).rubric_at(datetime(2027, 1, 1, tzinfo=UTC)).version == load_rubric().version
    decision = sign(home, review, GRACE, data_fingerprint=DATA, first=pending.signature.sha256).decision
    assert decision is not None
    assert (decision.id, decision.author, decision.reviewer, decision.owner, decision.why) == (pending.id, "Ada", "Grace", "owner", "as shown")
    assert [(each.role, each.key, each.name) for each in decision.signatures] == [("author", "key_1", "Ada"), ("reviewer", "key_2", "Grace")]
    assert read_history(home).pending == ()
    assert find_review(home, review).state == "approved"


@pytest.mark.parametrize(
    "other", [ADA, Signer("key_9", "Ada"), Signer("key_9", "ａｄａ"), Signer("key_9", "Аda"), Signer("key_9", "A da"), Signer("key_1", "Grace")]
)
@pytest.mark.parametrize("what", ["approve", "reject", "rollback"])
def test_both_signatures_cannot_come_from_one_person(home: Home, other: Signer, what: str) -> None:
    review = write_review(home)
    if what == "rollback":
        begin(home, review)
        sign(home, review, GRACE, data_fingerprint=DATA)
        assert sign_rollback(home, ADA).pending is not None
        before = read_history(home)
        with pytest.raises(SameSigner, match="the same person: Ada signed first"):
            sign_rollback(home, other)
    else:
        begin(home, review, reject=what == "reject")
        before = read_history(home)
        with pytest.raises(SameSigner, match="the same person: Ada signed first"):
            sign(home, review, other, reject=what == "reject", data_fingerprint=DATA)
    assert read_history(home) == before


@pytest.mark.parametrize("more", [{"effective": "2026-11-01"}, {"owner": "another"}, {"why": "other reasons"}, {"reject": True}])
def test_different_terms_need_a_new_first_signature(home: Home, more: dict[str, Any]) -> None:
    """A decision needs the same terms from two people."""
    review = write_review(home)
    old = begin(home, review)
    fields = {"owner": "owner", "data_fingerprint": DATA} | more
    before = read_history(home)
    name = "the decision" if "reject" in more else next(iter(more))
    with pytest.raises(TermsDiffer, match=f"Ada has already signed different terms \\({name}"):
        sign(home, review, GRACE, **fields)
    assert read_history(home) == before, "no signature is replaced without --replace"
    fields["replace"] = True
    signed = sign(home, review, GRACE, **fields)
    assert signed.decision is None
    assert signed.instead_of == old
    assert "Ada had signed" in signed.words()
    assert len(read_history(home).pending) == 1
    with pytest.raises(SameSigner):
        sign(home, review, GRACE, **fields)
    decision = sign(home, review, ADA, reject=bool(more.get("reject")), data_fingerprint=DATA).decision
    assert decision is not None
    assert (decision.author, decision.reviewer) == ("Grace", "Ada")


def test_signing_fails_if_the_shown_signature_was_replaced(home: Home) -> None:
    review = write_review(home)
    sha256 = begin(home, review).signature.sha256
    begin(home, review, MARY, effective="2026-12-01", replace=True)
    with pytest.raises(ReviewChanged, match="not the one that was shown"):
        sign(home, review, GRACE, data_fingerprint=DATA, first=sha256)


def test_first_signatures_lapse_after_changes(home: Home) -> None:
    review = write_review(home)
    file = home.reviews / review / "review.json"
    content = json.loads(file.read_text())

    def refused(says: str, change: Any, data: str = DATA) -> None:
        begin(home, review)
        waiting = read_history(home).pending_of(review)
        assert waiting is not None
        change()
        if data == DATA:
            assert says in lapse_reason(home, read_history(home), find_review(home, review), waiting)
        with pytest.raises(ReviewChanged, match=says):
            sign(home, review, GRACE, data_fingerprint=data)
        assert read_history(home).pending == (), "the first signature has lapsed"

    def score() -> None:
        home.snapshots.mkdir(parents=True)
        (home.snapshots / "2026-10-21.parquet").write_bytes(b"")

    def propose() -> None:
        more = content["sign_off"] | {"proposed_bands": {"green": 60.0, "yellow": 42.0, "red": 0.0}}
        file.write_text(json.dumps(content | {"sign_off": more}))

    refused("the data up to 2026-10-01 have changed", lambda: None, "duckdb-1:other")
    refused("1 Oct 2026 is too early for this rubric: scores of 21 Oct 2026 already exist", score)
    refused("the proposal of the review has changed", propose)


def test_unreadable_data_do_not_remove_a_first_signature(home: Home) -> None:
    review = write_review(home)
    begin(home, review)
    with pytest.raises(ReviewChanged, match="could not be read"):
        sign(home, review, GRACE)
    assert sign(home, review, GRACE, data_fingerprint=DATA).decision is not None


@pytest.mark.parametrize("scored", [None, "2026-09-30", "2026-10-21"])
@pytest.mark.parametrize("changes", [True, False])
@pytest.mark.parametrize("approved_before", [False, True])
def test_default_date_is_the_earliest_possible(home: Home, scored: str | None, changes: bool, approved_before: bool) -> None:
    if approved_before:
        earlier = write_review(home, "2026Q2-five-dimensions-0000aaaa")
        begin(home, earlier, effective="2026-11-11")
        sign(home, earlier, GRACE, data_fingerprint=DATA)
    if scored:
        home.snapshots.mkdir(parents=True)
        (home.snapshots / f"{scored}.parquet").write_bytes(b"")
    hashes = {"data": DATA, "rubric": sha256(load_champion(home).rubric_at(datetime(2026, 12, 1, tzinfo=UTC)).text), "model": None}
    review = write_review(home, hashes=hashes, **({} if changes else {"proposed_weights": None, "proposed_bands": None}))
    earliest = earliest_for_review(home, read_history(home), find_review(home, review).review.sign_off)
    day_before = date.fromordinal(earliest.day.toordinal() - 1)
    with pytest.raises(BadRequest, match="is too early"):
        sign(home, review, ADA, owner="owner", effective=day_before, data_fingerprint=DATA)
    assert begin(home, review).effective == earliest.day
    decision = sign(home, review, GRACE, data_fingerprint=DATA).decision
    assert decision is not None
    assert decision.effective == earliest.day
    if changes and scored == "2026-10-21" and not approved_before:
        assert earliest.day == date(2026, 10, 22)


def test_approvals_need_an_owner_and_rejections_no_terms(home: Home) -> None:
    review = write_review(home)
    with pytest.raises(BadRequest, match="the CS owner is missing"):
        sign(home, review, ADA, data_fingerprint=DATA)
    assert sign(home, review, ADA, reject=True, effective="2020-01-01").pending is not None
    rejected = sign(home, review, GRACE, reject=True).decision
    assert rejected is not None
    assert (rejected.what, rejected.owner, rejected.effective) == ("rejected", None, None)
    with pytest.raises(AlreadyDecided):
        sign(home, review, MARY, reject=True)


def test_rollback_needs_the_newest_version_of_the_review(home: Home) -> None:
    one, two = write_review(home), write_review(home, "2026Q3-five-dimensions-0000ffff", proposed_weights=None, proposed_bands=None)
    with pytest.raises(BadRequest, match="no approved version"):
        sign_rollback(home, ADA, review=one)
    for each in (one, two):
        # The second review changes nothing in the version that the first one created.
        if each == two:
            hashes = {"data": DATA, "rubric": sha256(load_champion(home).rubric_at(datetime(2026, 12, 1, tzinfo=UTC)).text), "model": None}
            file = home.reviews / two / "review.json"
            content = json.loads(file.read_text())
            file.write_text(json.dumps(content | {"sign_off": content["sign_off"] | {"hashes": hashes}}))
        begin(home, each)
        assert sign(home, each, GRACE, data_fingerprint=DATA).decision is not None
    with pytest.raises(BadRequest, match=f"belongs to the review {one}"):
        sign_rollback(home, ADA, review=two)
    first = sign_rollback(home, ADA, review=one, why="a mistake")
    assert first.pending is not None
    assert find_review(home, one).pending == first.pending
    result = sign_rollback(home, GRACE, review=one, first=first.pending.signature.sha256).decision
    assert result is not None
    assert (result.takes_back, result.why) == (read_history(home).decisions[0].id, "a mistake")
    assert find_review(home, one).state == "open"
    # The same review again.
    begin(home, one)
    assert sign(home, one, GRACE, data_fingerprint=DATA).decision is not None


@pytest.mark.parametrize("part", ["owner", "effective", "why", "version", "author", "at"])
def test_edited_signed_content_is_rejected(home: Home, part: str) -> None:
    review = write_review(home)
    begin(home, review, why="as shown")
    sign(home, review, GRACE, data_fingerprint=DATA)
    content = json.loads(home.rubric_history.read_text())
    decision = content["decisions"][0]
    if part == "version":
        decision["version"]["version"] = "2030Q1"
    elif part == "at":
        decision["signatures"][1]["at"] = "2020-01-01T00:00:00Z"
    else:
        decision[part] = "2026-12-24" if part == "effective" else "Mallory"
    home.rubric_history.write_text(json.dumps(content))
    with pytest.raises(HomeError, match=r"history\.json"):
        read_history(home)


# Round trips of the history file.

NAMES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20)
TEXTS = st.none() | st.text(st.characters(exclude_categories=["C"]), max_size=50)
SHARES = st.floats(0, 1)
WRITTEN = st.builds(RubricVersion, version=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,9}", fullmatch=True), sha256=st.text("0123456789abcdef", min_size=64, max_size=64))
FALLING = st.lists(SHARES, min_size=1, max_size=4).map(lambda s: tuple(sorted(s * len(SCORES), reverse=True)[: len(SCORES)]))
BAND_RATES = st.builds(BandRate, band=NAMES, rows=st.just(0), accounts_with_churn=st.just(0), rate=st.none() | SHARES, low=st.none(), high=st.none() | SHARES)
MEANINGS = st.builds(
    ScoreCalibration, rate=FALLING, low=FALLING, high=FALLING, rows=st.integers(0, 9), accounts=st.integers(0, 9),
    accounts_with_churn=st.integers(0, 9), first=st.just("2026-01-01"), last=st.just("2026-02-01"), bands=st.lists(BAND_RATES, max_size=3).map(tuple), later=st.none(),
)  # fmt: skip
INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))
HASHES = st.none() | st.builds(ReviewedHashes, data=NAMES, rubric=NAMES, model=st.none() | NAMES)


@st.composite
def terms(draw: Any) -> DecisionTerms:
    return draw(
        st.builds(
            DecisionTerms, what=st.sampled_from(["approved", "rejected", "rolled_back"]), review=NAMES, rubric=st.just("five-dimensions"),
            owner=st.none() | NAMES, why=TEXTS, effective=st.none() | st.dates(date(2020, 1, 1)), takes_back=st.none() | NAMES, hashes=HASHES, proposal=st.none() | NAMES,
        )
    )  # fmt: skip


def signature(role: Any, key: str, name: str, at: datetime, previous: str | None, signed: Any) -> Signature:
    return Signature(role=role, key=key, name=name, at=at, previous=previous, sha256=signature_hash(signed, role, key, name, at, previous))


@st.composite
def pendings(draw: Any) -> PendingDecision:
    what = draw(terms())
    signed = signature("author", "key_1", draw(NAMES), draw(INSTANTS), None, what.model_dump(mode="json"))
    return PendingDecision(**what.model_dump(), id="cal_0123456789abcdef", signature=signed)


@st.composite
def decisions(draw: Any) -> ReviewDecision:
    what, at = draw(terms()), draw(INSTANTS)
    version, replaces = draw(st.none() | WRITTEN), draw(st.none() | WRITTEN)
    author, reviewer = draw(NAMES), draw(NAMES)
    signatures: tuple[Signature, ...] = ()
    if draw(st.booleans()):
        first = signature("author", "key_1", author, at, None, what.model_dump(mode="json"))
        second = signature("reviewer", "key_2", reviewer, at, first.sha256, signed_with_version(what, version, replaces))
        signatures = (first, second)
    return ReviewDecision(
        **what.model_dump(), id=draw(st.from_regex(r"cal_[0-9a-f]{16}", fullmatch=True)), at=at, author=author, reviewer=reviewer, version=version,
        replaces=replaces, meaning=draw(st.none() | MEANINGS), signatures=signatures,
    )  # fmt: skip


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(decision_list=st.lists(decisions(), max_size=3, unique_by=lambda each: each.id), pending=st.lists(pendings(), max_size=2))
def test_written_decisions_are_read_back(home: Home, decision_list: list[ReviewDecision], pending: list[PendingDecision]) -> None:
    history = HistoryFile(decisions=tuple(decision_list), pending=tuple(pending))
    write_history(home, history)
    assert read_history(home) == history


@settings(max_examples=60)
@given(MEANINGS)
def test_score_calibrations_are_read_with_and_without_nulls(meaning: ScoreCalibration) -> None:
    for exclude_none in (False, True):
        assert ScoreCalibration.model_validate_json(meaning.model_dump_json(exclude_none=exclude_none)) == meaning
    facts = RubricFacts(version="1", meaning=None, learned=None)
    assert RubricFacts.model_validate_json(facts.model_dump_json(exclude_none=True)) == facts


def test_histories_of_version_1_without_nulls_are_read(home: Home) -> None:
    """Version 1 wrote the file without null fields, and then could not read it."""
    curve = [0.5] * len(SCORES)
    bands = [{"band": "red", "rows": 5, "accounts_with_churn": 0}]
    meaning = {"rate": curve, "low": curve, "high": curve, "rows": 5, "accounts": 3, "accounts_with_churn": 1, "first": "2026-01-01", "last": "2026-02-01", "bands": bands}
    decision = {
        "id": "cal_0123456789abcdef", "at": "2026-07-02T08:00:00Z", "what": "rejected", "review": "2026Q2-x-1", "rubric": "five-dimensions",
        "author": "author", "reviewer": "reviewer", "hashes": {"data": "d", "rubric": "r"}, "meaning": meaning,
    }  # fmt: skip
    home.rubrics.mkdir(parents=True)
    home.rubric_history.write_text(json.dumps({"schema_version": 1, "decisions": [decision]}))
    (read,) = load_rubric_history(home).file.decisions
    assert read.meaning is not None
    assert read.meaning.later is None
    assert read.meaning.bands[0].rate is None
    review = write_review(home)
    begin(home, review)
    assert sign(home, review, GRACE, data_fingerprint=DATA).decision is not None
    assert [each.what for each in read_history(home).decisions] == ["rejected", "approved"]


def test_invalid_histories_are_never_written(home: Home) -> None:
    review = write_review(home)
    begin(home, review)
    history = read_history(home)
    (waiting,) = history.pending
    broken = waiting.model_copy(update={"owner": "another"})
    with pytest.raises(ValidationError):
        write_history(home, history.model_copy(update={"pending": (broken,)}))
    assert read_history(home) == history
