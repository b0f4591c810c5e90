"""A rubric's versions: from which date each is in force, signing off, taking back."""

import json
import re
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features.errors import BadRequest, HomeError
from models.artifacts.champion import Champion, load_champion
from models.health.rubric import load_rubric
from models.health.rubric_editor import revise_rubric_text
from models.health.rubric_versions import load_rubric_history, read_history, sha256, version_file
from models.home import Home
from models.predictions.assessment import assess
from models.reviews.review_store import UnknownReview, find_review, list_reviews
from models.reviews.sign_off import AlreadyDecided, ReviewChanged, Signer, SignOffRequest, sign_rollback
from models.reviews.sign_off import sign as sign_request

DATA = "duckdb-1:abc"
WEIGHTS = {"usage": 33.0, "engagement": 22.0, "support": 15.0, "outcomes": 20.0, "relationship": 10.0}
BANDS = {"green": 68.0, "yellow": 42.0, "red": 0.0}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def write_review(home: Home, name: str = "2026Q3-five-dimensions-0000abcd", **more: Any) -> str:
    """Write a review that proposes `WEIGHTS` and `BANDS`; ``more`` replaces fields of the proposal."""
    decided = {"answer": "change", "words": "change", "reasons": ["so the evidence says"]}
    content = {
        "schema_version": 1,
        "id": name,
        "quarter": "2026Q3",
        "created_at": "2026-10-02T08:00:00Z",
        "decision": {"headline": "Change.", "weights": decided, "bands": decided, "effective": "2026-10-01"},
        "sign_off": {
            "rubric": "five-dimensions",
            "version": load_rubric().version,
            "model": None,
            "signals": "signals",
            "data_through": "2026-10-01T00:00:00+00:00",
            "hashes": {"data": DATA, "rubric": sha256(load_rubric().text), "model": None},
            "proposed_weights": WEIGHTS,
            "proposed_bands": BANDS,
            "meaning": None,
            "earliest_effective": "2026-10-01",
        }
        | more,
    }
    folder = home.reviews / name
    folder.mkdir(parents=True)
    (folder / "review.json").write_text(json.dumps(content))
    (folder / "index.html").write_text("<!doctype html><title>a review</title><!--sign-off-->")
    return name


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


AUTHOR, REVIEWER = Signer("key_a", "author"), Signer("key_b", "reviewer")


def sign_once(home: Home, review: str, signer: Signer, data_fingerprint: str | None = None, **terms: Any) -> Any:
    """Sign terms once."""
    return sign_request(home, review, signer, SignOffRequest(**terms), data_fingerprint=data_fingerprint)


def sign(home: Home, review: str, effective: str | None = "2026-10-15", **more: Any) -> Any:
    """Sign as author and reviewer, and return the decision."""
    fields = {"owner": "owner", "data_fingerprint": DATA} | more
    first = sign_once(home, review, AUTHOR, effective=effective, **fields)
    assert first.pending is not None
    return sign_once(home, review, REVIEWER, **more | {"data_fingerprint": fields["data_fingerprint"]}).decision


def roll_back(home: Home, why: str | None = None) -> Any:
    assert sign_rollback(home, AUTHOR, why=why).pending is not None
    return sign_rollback(home, REVIEWER).decision


def test_new_versions_apply_from_their_effective_date(home: Home) -> None:
    decided = sign(home, write_review(home))
    assert decided.version is not None
    assert decided.version.version == "2026Q4"
    champion = load_champion(home)
    before, after = champion.rubric_at(at("2026-10-14T23:59:59")), champion.rubric_at(at("2026-10-15"))
    assert before.text == load_rubric().text
    assert after.version == "2026Q4"
    assert {d.name: d.weight for d in after.rules.dimensions} == WEIGHTS
    assert (after.rules.bands.green, after.rules.bands.yellow) == (68, 42)
    # Only version, weights and limits have changed, and the signals within a dimension keep their parts.
    assert [s for _, s in after.signals] == [s for _, s in before.signals]


def test_scores_use_the_version_in_force_at_their_date(home: Home, portfolio: pd.DataFrame) -> None:
    sign(home, write_review(home))
    champion = load_champion(home)
    scores = {}
    for date in ("2026-10-08", "2026-10-15"):
        frame = portfolio.assign(as_of=pd.Timestamp(date, tz="UTC"))
        assessment = assess(frame, champion)
        scores[date] = assessment.champion.rubric.version, assessment.health.score
    assert [version for version, _ in scores.values()] == [load_rubric().version, "2026Q4"]
    old = assess(portfolio.assign(as_of=pd.Timestamp("2026-10-08", tz="UTC")), Champion({}, load_rubric()))
    pd.testing.assert_series_equal(scores["2026-10-08"][1], old.health.score)


def test_rollback_restores_the_previous_version(home: Home) -> None:
    sign(home, write_review(home))
    back = roll_back(home, "a mistake")
    assert back.takes_back == read_history(home).decisions[0].id
    assert load_champion(home).rubric_at(at("2027-01-01")).version == load_rubric().version
    # Its name is spent: another approval of the quarter gets a number.
    again = sign(home, write_review(home, "2026Q3-five-dimensions-0000ffff"))
    assert again.version is not None
    assert again.version.version == "2026Q4.1"
    assert [each.what for each in read_history(home).decisions] == ["approved", "rolled_back", "approved"]


def test_rollback_needs_an_approved_version(home: Home) -> None:
    with pytest.raises(BadRequest, match="no approved version"):
        roll_back(home)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"data_fingerprint": "duckdb-1:other"}, "the data up to 2026-10-01 have changed"),
        ({"data_fingerprint": "duckdb-2:abc"}, "another version of the engine"),
        ({"data_fingerprint": None}, "the data could not be read"),
    ],
)
def test_changed_data_are_rejected(home: Home, more: dict[str, Any], says: str) -> None:
    review = write_review(home)
    with pytest.raises(ReviewChanged, match=says):
        sign(home, review, **more)


def test_changed_rubric_and_model_are_rejected_and_named(home: Home) -> None:
    hashes = {"data": DATA, "rubric": "0" * 64, "model": "1" * 64}
    with pytest.raises(ReviewChanged, match=r"rubric five-dimensions .* the champion is version none, not 7"):
        sign(home, write_review(home, hashes=hashes, model="7"))


def test_reviews_of_a_replaced_version_are_rejected(home: Home) -> None:
    first, second = write_review(home), write_review(home, "2026Q3-five-dimensions-0000ffff")
    sign(home, first)
    with pytest.raises(ReviewChanged, match="is version 2026Q4"):
        sign(home, second, "2026-11-01")


def test_reviews_are_decided_once(home: Home) -> None:
    review = write_review(home)
    rejected = sign(home, review, reject=True, data_fingerprint=None, why="not now")
    assert rejected.version is None
    assert load_champion(home).rubric_at(at("2027-01-01")).version == load_rubric().version
    with pytest.raises(AlreadyDecided, match="rejected"):
        sign(home, review)
    assert [record.state for record in list_reviews(home)] == ["rejected"]


def test_approval_without_changes_creates_no_version(home: Home) -> None:
    decided = sign(home, write_review(home, proposed_weights=None, proposed_bands=None))
    assert decided.version is None
    assert load_champion(home).rubric_at(at("2027-01-01")).version == load_rubric().version


@pytest.mark.parametrize("effective", ["2026-09-30", "soon", "2026-10-15T00:00:00", ""])
def test_effective_date_must_be_a_date_after_the_reviewed_quarter(home: Home, effective: str) -> None:
    review = write_review(home)
    with pytest.raises(BadRequest, match=r"is too early|invalid effective date"):
        sign(home, review, effective)


def test_existing_scores_limit_the_effective_date(home: Home) -> None:
    review = write_review(home)
    home.snapshots.mkdir(parents=True)
    (home.snapshots / "2026-10-21.parquet").write_bytes(b"")
    with pytest.raises(BadRequest, match="scores of 21 Oct 2026 already exist"):
        sign(home, review, "2026-10-21")
    assert sign(home, review, "2026-10-22").version is not None


def test_only_one_of_several_concurrent_sign_offs_succeeds(home: Home) -> None:
    review, outcomes = write_review(home), []

    def one() -> None:
        try:
            outcomes.append(sign_once(home, review, REVIEWER, data_fingerprint=DATA).decision.what)
        except AlreadyDecided:
            outcomes.append("refused")

    sign_once(home, review, AUTHOR, owner="owner", data_fingerprint=DATA)
    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["approved", "refused", "refused", "refused"]
    assert len(read_history(home).decisions) == 1


def test_edited_versions_are_rejected(home: Home) -> None:
    sign(home, write_review(home))
    file = version_file(home, "five-dimensions", "2026Q4")
    file.write_text(file.read_text() + "# more\n")
    with pytest.raises(HomeError, match="was changed after it was approved"):
        load_rubric_history(home)


@pytest.mark.parametrize("text", ["{", "[]", '{"decisions": [{}]}', '{"more": 1}'])
def test_broken_histories_are_named(home: Home, text: str) -> None:
    home.rubrics.mkdir(parents=True)
    home.rubric_history.write_text(text)
    with pytest.raises(HomeError, match=r"history\.json"):
        read_history(home)


def test_rubrics_edited_by_hand_are_used_unchanged(home: Home) -> None:
    sign(home, write_review(home))
    history = load_rubric_history(home)
    text = load_rubric().text.replace(f'version = "{load_rubric().version}"', 'version = "by hand"')
    from models.health.rubric import rubric_from_text

    assert history.at(rubric_from_text(text, "x"), at("2027-01-01")).version == "by hand"


def test_other_rubrics_with_the_name_of_an_approved_version_stay_separate(home: Home) -> None:
    sign(home, write_review(home))
    history = load_rubric_history(home)
    text = load_rubric().text
    from models.health.rubric import rubric_from_text

    other = text.replace(f'version = "{load_rubric().version}"', 'version = "2026Q4"').replace("green = 70", "green = 71")
    in_force = history.at(rubric_from_text(other, "x"), at("2027-01-01"))
    assert (in_force.version, in_force.rules.bands.green) == ("2026Q4", 71)
    assert history.meaning(in_force) is None
    # A note in the file makes no other version of it.
    assert history.at(rubric_from_text("# a note\n" + text, "x"), at("2027-01-01")).rules.dimensions[0].weight == WEIGHTS["usage"]


def test_new_versions_never_reuse_the_name_of_the_shipped_version(home: Home) -> None:
    """It may have been approved in a home before that version was shipped."""
    assert not re.fullmatch(r"[0-9]{4}Q[1-4](\.[1-9][0-9]*)?", load_rubric().version)


@pytest.mark.parametrize("name", ["five-dimensions", "product-relationship-outcomes", "adoption-engagement-business-relationship"])
def test_every_shipped_rubric_can_be_revised(name: str) -> None:
    rubric = load_rubric(name)
    dimensions = [d.name for d in rubric.rules.dimensions]
    weights = {d: 100 / len(dimensions) for d in dimensions}
    text = revise_rubric_text(rubric.text, "2027Q1", weights, {"green": 81.0, "yellow": 55.5, "red": 0.0}, "a\nnote")
    assert text.startswith("# a note\n")


def test_reviews_are_found_by_prefix_and_otherwise_listed(home: Home) -> None:
    name = write_review(home)
    for beginning in ("2026Q3", "2026-q3", "Q3 2026"):
        assert find_review(home, beginning).review.id == name
    with pytest.raises(UnknownReview, match=name):
        find_review(home, "2025Q1")
    with pytest.raises(UnknownReview):
        find_review(home, "../../etc")


def test_missing_or_repeated_decisions_are_detected(home: Home) -> None:
    sign(home, write_review(home))
    roll_back(home)
    whole = json.loads(home.rubric_history.read_text())
    first, second = whole["decisions"]
    for decisions, says in (([first, first], "twice"), ([second], "missing"), ([second, first], "missing")):
        home.rubric_history.write_text(json.dumps(whole | {"decisions": decisions}))
        with pytest.raises(HomeError, match=rf"history\.json.*{says}"):
            read_history(home)
