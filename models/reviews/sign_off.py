"""Signing a review off: two people with keys of their own, nothing changed since the review, and from a date on another
version of the rubric.

The first signature is recorded with its terms and waits. The second, with another person's key, completes the decision.
The history is the truth: one file, replaced whole by one writer at a time. A version's file is written before the
history names it; one that a crash has left behind is written again.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal, NamedTuple

from features.errors import BadRequest
from features.utils.atomic_files import write_file
from features.utils.dates import to_iso
from features.utils.file_lock import exclusive_lock
from features.utils.periods import Quarter
from models.artifacts.champion import load_champion
from models.health.rubric import Rubric
from models.health.rubric_editor import revise_rubric_text
from models.health.rubric_versions import (
    DecisionTerms,
    HistoryFile,
    PendingDecision,
    ReviewDecision,
    RubricVersion,
    Signature,
    read_history,
    sha256,
    signature_hash,
    signed_with_version,
    version_file,
    write_history,
)
from models.home import Home
from models.reviews.person_names import same_person, tidy_name
from models.reviews.review_store import ReviewRecord, SignOffProposal, find_review

REASON_LIMIT = 2000
"""Characters of a reason."""
DECISION_NOUNS = {"approved": "approval", "rejected": "rejection", "rolled_back": "rollback"}
"""What each kind of decision is called."""


class ReviewChanged(BadRequest):
    """What was reviewed, or signed first, is not what there is now."""


class AlreadyDecided(BadRequest):
    """The review was signed or rejected before, or its proposal came too late."""


class TermsDiffer(ReviewChanged):
    """Another person has signed first, and in other terms."""


class SameSigner(BadRequest):
    """Both signatures would be one person's."""


@dataclass(frozen=True)
class Signer:
    """Who signs, as an API key has proved it.

    Parameters
    ----------
    key : the key's id.
    name : the key's name: the person whose key it is.
    """

    key: str
    name: str


@dataclass(frozen=True)
class SignOffResult:
    """What a signature has led to: a decision, or terms that wait for another person's signature.

    Parameters
    ----------
    decision : None while the second signature is missing.
    pending : None once both are there.
    instead_of : the first signature that this one has taken the place of, since the terms were others.
    """

    decision: ReviewDecision | None
    pending: PendingDecision | None
    instead_of: PendingDecision | None = None

    def words(self) -> str:
        """What a person wants to know."""
        if self.decision is not None:
            return self.decision.words()
        assert self.pending is not None
        by = f"{DECISION_NOUNS[self.pending.what]} of {self.pending.review}: signed by {self.pending.signature.name}"
        since = f", in force from {self.pending.effective}" if self.pending.what == "approved" else ""
        lines = [
            f"{by}{since}. One signature is missing. Another person signs with a key of their own: {self._command()}"
        ]
        if self.instead_of is not None:
            lines.append(
                f"It takes the place of the {DECISION_NOUNS[self.instead_of.what]} that"
                f" {self.instead_of.signature.name} had signed, whose terms were others."
            )
        return "\n".join(lines)

    def _command(self) -> str:
        """What the second person runs."""
        assert self.pending is not None
        option = {"approved": "", "rejected": " --reject", "rolled_back": " --rollback"}[self.pending.what]
        return f"RENEWCAST_KEY=… renewcast approve {self.pending.review}{option}"


class EarliestDate(NamedTuple):
    """The first date on which a version may begin, and why not before."""

    day: date
    why: str


def earliest_effective(home: Home, history: HistoryFile, rubric: str, reviewed_to: date, changes: bool) -> EarliestDate:
    """The first date from which on an approved review may be in force: not within the quarter that was reviewed, not
    before the last approved version, and for a change of the rubric not on or before a date that was scored already.

    It is the default wherever a date is asked for, and moves on as dates are scored.

    Parameters
    ----------
    rubric : the reviewed rubric's name. reviewed_to : the day after the reviewed quarter.
    changes : whether a new version of the rubric would come of it.

    Raises
    ------
    HomeError
        The home cannot be read.
    """
    limits = [EarliestDate(reviewed_to, f"the quarter was reviewed up to {reviewed_to}")]
    if known := history.approvals(rubric):
        last = known[-1].effective
        assert last is not None
        limits.append(EarliestDate(last, f"the last approved version is in force from {last}"))
    if changes and (scored := _last_scored(home)) is not None:
        limits.append(EarliestDate(date.fromordinal(scored.toordinal() + 1), f"scores of {scored} were given already"))
    return max(limits)


def earliest_for_review(home: Home, history: HistoryFile, told: SignOffProposal) -> EarliestDate:
    """`earliest_effective` of a review."""
    return earliest_effective(home, history, told.rubric, told.earliest_effective, told.changes)


def sign(
    home: Home,
    review: str,
    signer: Signer,
    *,
    reject: bool = False,
    owner: str | None = None,
    effective: date | str | None = None,
    why: str | None = None,
    first: str | None = None,
    replace: bool = False,
    is_good: Callable[[str], bool] | None = None,
    data_fingerprint: str | None = None,
) -> SignOffResult:
    """Sign a review off, or its rejection: as the first person, or as the second where another person has signed the
    same before. What changes weights or limits then writes a new version of the rubric, which is in force from its
    effective date on; earlier scores stay as they were.

    What is left out is as in the first signature. Terms that differ from another person's first signature are refused,
    unless the signer says that these replace it: this signature is then the first one, and the other lapses.

    Parameters
    ----------
    review : its id, or its folder.
    signer : who signs; the caller has checked the key.
    reject : that it is turned down; nothing is checked against the review then, and nothing changes.
    owner : the CS owner, who is responsible for it; a first signature of an approval needs one.
    effective : a plain date, not before `earliest_effective`; that by default.
    why : kept with it.
    first : SHA-256 of the first signature that the signer has seen; None does not ask for one.
    replace : sign other terms than those that another person has signed first. A signer who names ``first`` has seen
        that signature, and needs no ``replace``.
    is_good : whether a key, by its id, still stands; a first signature whose key was revoked meanwhile lapses.
    data_fingerprint : of the signals as they are now, up to the review's ``data_through``
    (`features.signals.fingerprint`);
        needed to approve.

    Raises
    ------
    UnknownReview, HomeError
        There is no such review, or it or the history is broken.
    BadRequest
        A name is missing, or the date cannot be.
    SamePerson
        The first signature is of the same key, or of a name that looks the same.
    ChangedSince
        Data, rubric, model or the proposal are not those that were reviewed and signed first: which. A first signature
        then lapses.
    OtherTerms
        Another person has signed first, in other terms: which.
    AlreadyDecided
        It was decided before.
    """
    with exclusive_lock(home.rubrics / ".lock"):
        history = read_history(home)
        plan = _plan(home, history, review, signer, reject, owner, effective, why, first, replace)
        if plan.terms is None:
            _refuse_revoked(home, history, plan.first, is_good)
            in_force = _check_first_signature(home, history, plan.kept, plan.first, data_fingerprint)
            return _complete(home, history, plan.first, signer, plan.kept, in_force)
        if plan.terms.effective is not None:
            _require_unchanged(home, plan.kept, data_fingerprint, plan.terms.effective)
        return _begin(home, history, plan.terms, signer, plan.waiting)


def check_sign(
    home: Home,
    review: str,
    signer: Signer,
    *,
    reject: bool = False,
    owner: str | None = None,
    effective: date | str | None = None,
    why: str | None = None,
    first: str | None = None,
    replace: bool = False,
) -> None:
    """Refuse what `sign` would refuse whatever the data say: before they are read, which can take a while."""
    _plan(home, read_history(home), review, signer, reject, owner, effective, why, first, replace)


def sign_rollback(
    home: Home,
    signer: Signer,
    *,
    rubric: str | None = None,
    review: str | None = None,
    why: str | None = None,
    first: str | None = None,
    is_good: Callable[[str], bool] | None = None,
) -> SignOffResult:
    """Sign that the newest approved version of a rubric is taken back, as the first or the second person. The one
    before is then in force again for all dates. What was published under it stays on record as it was.

    Parameters
    ----------
    rubric : its name; the review's, or else the champion's if None.
    review : whose version it has to be; any if None.
    The rest, and what is raised, is as in `sign`.

    Raises
    ------
    BadRequest
        There is nothing to take back, or it is not this review's.
    """
    tidy_name("key", signer.name)
    reason = _reason(why)
    with exclusive_lock(home.rubrics / ".lock"):
        history = read_history(home)
        kept = None if review is None else find_review(home, review)
        of = rubric or (load_champion(home).rubric.name if kept is None else kept.review.sign_off.rubric)
        known = history.approvals(of)
        if not known or (kept is not None and known[-1].review != kept.review.id):
            raise BadRequest(
                f"no approved version of {of} is in force or to come"
                if not known
                else f"the newest approved version of {of} is of the review {known[-1].review}",
                "the newest approved version",
                "take that one back first" if known else "",
            )
        last = known[-1]
        waiting = history.pending_of(last.review, rollback=True)
        if waiting is not None and waiting.takes_back != last.id:
            waiting = None
        _require_shown(waiting, first)
        if waiting is not None and _agrees(waiting, {"why": reason}):
            _refuse_same_person(waiting, signer)
            _refuse_revoked(home, history, waiting, is_good)
            return _complete(home, history, waiting, signer)
        terms = DecisionTerms(what="rolled_back", review=last.review, rubric=of, why=reason, takes_back=last.id)
        return _begin(home, history, terms, signer, waiting)


@dataclass(frozen=True)
class _Plan:
    """What a signature would do to a review: complete the terms that wait (``terms`` is None), or sign new ones."""

    kept: ReviewRecord
    waiting: PendingDecision | None
    terms: DecisionTerms | None

    @property
    def first(self) -> PendingDecision:
        assert self.waiting is not None
        return self.waiting


def _plan(
    home: Home,
    history: HistoryFile,
    review: str,
    signer: Signer,
    reject: bool,
    owner: str | None,
    effective: date | str | None,
    why: str | None,
    first: str | None,
    replace: bool,
) -> _Plan:
    tidy_name("key", signer.name)
    day = None if effective is None or reject else _plain_date(effective)
    owned, reason = None if owner is None else tidy_name("owner", owner), _reason(why)
    what: Literal["approved", "rejected"] = "rejected" if reject else "approved"
    kept = find_review(home, review)
    if (earlier := history.of_review(kept.review.id)) is not None:
        raise AlreadyDecided(
            f"the review was {earlier.what} on {earlier.at.date().isoformat()}",
            "a review that is open",
            "hold a new one, or take an approval back: `renewcast approve --rollback`",
        )
    told, waiting = kept.review.sign_off, history.pending_of(kept.review.id)
    _require_shown(waiting, first)
    given = {"owner": owned, "effective": day, "why": reason}
    if waiting is not None and waiting.what == what and _agrees(waiting, given):
        _refuse_same_person(waiting, signer)
        return _Plan(kept, waiting, None)
    if waiting is not None and waiting.signature.key != signer.key and not replace and first is None:
        raise _other_terms(waiting, what, given)
    if not reject:
        if owned is None:
            raise BadRequest(
                "an approval without a CS owner", "the name of the person who is responsible for it", "name the owner"
            )
        earliest = earliest_for_review(home, history, told)
        day = day or earliest.day
        if day < earliest.day:
            raise BadRequest(
                f"{day} has passed for this rubric: {earliest.why}",
                f"{earliest.day} or later",
                "choose a later date, or leave it out",
            )
    terms = DecisionTerms(
        what=what,
        review=kept.review.id,
        rubric=told.rubric,
        owner=owned,
        why=reason,
        effective=day,
        hashes=told.hashes,
        proposal=proposal_hash(told),
    )
    return _Plan(kept, waiting, terms)


def lapse_reason(home: Home, history: HistoryFile, kept: ReviewRecord, waiting: PendingDecision) -> str:
    """Why a first signature no longer counts, in words; empty where it does. The data are not looked at.

    Raises
    ------
    BundleError, RubricError, HomeError
        The champion or the home is broken.
    """
    if waiting.what == "rolled_back":
        known = history.approvals(waiting.rubric)
        return "" if known and known[-1].id == waiting.takes_back else "another version has been approved since"
    told = kept.review.sign_off
    if waiting.hashes != told.hashes or waiting.proposal != proposal_hash(told):
        return "the review proposes something else now"
    if waiting.what == "rejected":
        return ""
    assert waiting.effective is not None
    earliest = earliest_for_review(home, history, told)
    if waiting.effective < earliest.day:
        return f"{waiting.effective} has passed for this rubric: {earliest.why}"
    changed, _ = _changes_since(home, kept, waiting.effective)
    return "; ".join(changed)


def proposal_hash(told: SignOffProposal) -> str:
    """SHA-256 of what a review proposes: weights, limits, profiles, and what they would have meant."""
    proposed = told.model_dump_json(
        include={"rubric", "version", "proposed_weights", "proposed_bands", "proposed_profiles", "meaning"}
    )
    return hashlib.sha256(proposed.encode()).hexdigest()


def _begin(
    home: Home, history: HistoryFile, terms: DecisionTerms, signer: Signer, waiting: PendingDecision | None
) -> SignOffResult:
    """Record a first signature, in place of the one that waits under other terms."""
    signature = _signature("author", signer, terms.model_dump(mode="json"), history.last_signature)
    pending = PendingDecision(**terms.model_dump(), id=f"cal_{secrets.token_hex(8)}", signature=signature)
    write_history(home, history.model_copy(update={"pending": (*_without(history.pending, waiting), pending)}))
    return SignOffResult(None, pending, waiting)


def _complete(
    home: Home,
    history: HistoryFile,
    waiting: PendingDecision,
    signer: Signer,
    kept: ReviewRecord | None = None,
    in_force: Rubric | None = None,
) -> SignOffResult:
    """Record the decision that a second signature makes."""
    version = replaces = meaning = None
    if waiting.what == "rolled_back":
        taken = next(each for each in history.decisions if each.id == waiting.takes_back)
        version, replaces = taken.replaces, taken.version
    elif waiting.what == "approved" and kept is not None and in_force is not None and kept.review.sign_off.changes:
        version, replaces = _write_versions(home, history, kept, waiting, in_force)
        meaning = kept.review.sign_off.meaning
    signed = signed_with_version(waiting.terms, version, replaces)
    second = _signature("reviewer", signer, signed, waiting.signature.sha256)
    decision = ReviewDecision(
        **waiting.terms.model_dump(),
        id=waiting.id,
        at=second.at,
        author=waiting.signature.name,
        reviewer=second.name,
        version=version,
        replaces=replaces,
        meaning=meaning,
        signatures=(waiting.signature, second),
    )
    decided = (*history.decisions, decision)
    write_history(
        home, history.model_copy(update={"decisions": decided, "pending": _without(history.pending, waiting)})
    )
    return SignOffResult(decision, None)


def _signature(
    role: Literal["author", "reviewer"], signer: Signer, signed: dict[str, object], previous: str | None
) -> Signature:
    name, at = tidy_name("key", signer.name), datetime.now(UTC)
    made = signature_hash(signed, role, signer.key, name, at, previous)
    return Signature(role=role, key=signer.key, name=name, at=at, previous=previous, sha256=made)


def _without(pending: Sequence[PendingDecision], one: PendingDecision | None) -> tuple[PendingDecision, ...]:
    return tuple(each for each in pending if one is None or each.id != one.id)


def _agrees(waiting: PendingDecision, given: Mapping[str, object]) -> bool:
    """Whether what was given, None for nothing, is what the first signature says."""
    return all(value is None or value == getattr(waiting, name) for name, value in given.items())


def _other_terms(waiting: PendingDecision, what: str, given: Mapping[str, object]) -> TermsDiffer:
    """Which terms differ from those of the first signature."""
    if waiting.what != what:
        differs = f"the decision: {DECISION_NOUNS[waiting.what]}, not {DECISION_NOUNS[what]}"
    else:
        differs = "; ".join(
            f"{name}: {getattr(waiting, name) or 'none'}, not {value}"
            for name, value in given.items()
            if value is not None and value != getattr(waiting, name)
        )
    return TermsDiffer(
        f"{waiting.signature.name} has signed first, in other terms ({differs})",
        "the same terms, which may be left out",
        "leave them out to sign the same, or add --replace to sign these instead; the first signature then lapses",
    )


def _require_shown(waiting: PendingDecision | None, first: str | None) -> None:
    if first is not None and (waiting is None or waiting.signature.sha256 != first):
        raise ReviewChanged(
            "the first signature is not the one that was shown", "the first signature as it is now", "look at it again"
        )


def _refuse_same_person(waiting: PendingDecision, signer: Signer) -> None:
    made = waiting.signature
    if made.key == signer.key or same_person(made.name, signer.name):
        with_key = "with this key" if made.key == signer.key else "with a key whose name is or looks the same"
        raise SameSigner(
            f"author and reviewer are the same person: {made.name} has signed first, {with_key}",
            "a second signature by another person",
            "let somebody else sign with a key of their own (`renewcast keys create NAME --scope admin`)",
        )


def _refuse_revoked(
    home: Home, history: HistoryFile, waiting: PendingDecision, is_good: Callable[[str], bool] | None
) -> None:
    """Forget a first signature whose key was revoked since."""
    if is_good is None or is_good(waiting.signature.key):
        return
    write_history(home, history.model_copy(update={"pending": _without(history.pending, waiting)}))
    raise ReviewChanged(
        f"the first signature, by {waiting.signature.name}, has lapsed: its key was revoked",
        "a first signature with a key that stands",
        "sign again as the first person",
    )


def _check_first_signature(
    home: Home, history: HistoryFile, kept: ReviewRecord, waiting: PendingDecision, data: str | None
) -> Rubric | None:
    """The rubric in force at the effective date of an approval, if the first signature still counts; it is forgotten if
    not."""
    why, in_force = lapse_reason(home, history, kept, waiting), None
    try:
        if not why and waiting.what == "approved":
            assert waiting.effective is not None
            in_force = _require_unchanged(home, kept, data, waiting.effective)
    except ReviewChanged:
        if data is not None:
            write_history(home, history.model_copy(update={"pending": _without(history.pending, waiting)}))
        raise
    if why:
        write_history(home, history.model_copy(update={"pending": _without(history.pending, waiting)}))
        raise ReviewChanged(
            f"the first signature, by {waiting.signature.name}, has lapsed: {why}",
            "what was signed first",
            "sign again as the first person; where data, rubric or model have changed, hold the review again",
        )
    return in_force


def _changes_since(home: Home, kept: ReviewRecord, day: date) -> tuple[list[str], Rubric]:
    """What of rubric and model is not as reviewed, in words, and the rubric in force at a date."""
    told, champion = kept.review.sign_off, load_champion(home)
    if champion.rubric.name != told.rubric:
        champion = champion.with_rubric(told.rubric)
    rubric = champion.rubric_at(datetime(day.year, day.month, day.day, tzinfo=UTC))
    changed = []
    if sha256(rubric.text) != told.hashes.rubric:
        changed.append(f"the rubric {told.rubric} in force on {day} is version {rubric.version} with another text")
    churn = champion.bundles.get("churn")
    if (churn.fingerprint if churn else None) != told.hashes.model:
        changed.append(
            f"the champion is version {churn.manifest.version if churn else 'none'}, not {told.model or 'none'}"
        )
    return changed, rubric


def _require_unchanged(home: Home, kept: ReviewRecord, data: str | None, day: date) -> Rubric:
    """The rubric in force at the effective date, if that, the data and the model are what was reviewed."""
    told = kept.review.sign_off
    changed, rubric = _changes_since(home, kept, day)
    if data is None:
        changed.insert(0, "the data could not be looked at")
    elif data != told.hashes.data:
        other = data.partition(":")[0] != told.hashes.data.partition(":")[0]
        changed.insert(
            0,
            "the data cannot be compared, since another version of the engine has read them"
            if other
            else f"the data up to {to_iso(told.data_through)} are others",
        )
    if changed:
        raise ReviewChanged(
            "changed since the review: " + "; ".join(changed),
            "what was reviewed",
            "hold the review again, and sign that",
        )
    return rubric


def _last_scored(home: Home) -> date | None:
    """The newest date of which the home holds scores."""
    days = []
    for file in home.snapshots.glob("????-??-??*.parquet"):
        try:
            days.append(date.fromisoformat(file.name[:10]))
        except ValueError:
            continue
    return max(days, default=None)


def _write_versions(
    home: Home, history: HistoryFile, kept: ReviewRecord, terms: DecisionTerms, old: Rubric
) -> tuple[RubricVersion, RubricVersion]:
    """The new version and the one that it replaces, as files of the home."""
    told, day = kept.review.sign_off, terms.effective
    assert told.proposed_weights is not None
    assert told.proposed_bands is not None
    assert day is not None
    version = _next_version(history, told.rubric, day, old.version)
    note = (
        f"Version {version}, in force from {day} on, by the review {kept.review.id}; before it: version {old.version}."
    )
    text = revise_rubric_text(
        old.text, version, told.proposed_weights, told.proposed_bands, note, told.proposed_profiles
    )
    spoken_of = [w for each in history.decisions if each.rubric == told.rubric for w in (each.version, each.replaces)]
    if any(w is not None and w.version == old.version and w.sha256 != sha256(old.text) for w in spoken_of):
        raise BadRequest(
            f"the home keeps another text as version {old.version} of {told.rubric}",
            "a version of its own for each text",
            "give the rubric that is in use a new version",
        )
    for name, content in ((old.version, old.text), (version, text)):
        write_file(version_file(home, told.rubric, name), content)
    return RubricVersion(version=version, sha256=sha256(text)), RubricVersion(
        version=old.version, sha256=sha256(old.text)
    )


def _next_version(history: HistoryFile, rubric: str, day: date, old: str) -> str:
    """Named after the quarter in which it begins; with a number where that was taken, rolled back ones included."""
    base = Quarter.of(day).name
    taken = {old} | {
        written.version
        for each in history.decisions
        if each.rubric == rubric
        for written in (each.version, each.replaces)
        if written is not None
    }
    names = [base, *(f"{base}.{k}" for k in range(1, len(taken) + 2))]
    return next(name for name in names if name not in taken)


def _reason(why: str | None) -> str | None:
    """On one line, without what does not print; None where nothing was said."""
    if why is None:
        return None
    said = "".join(each if each.isprintable() else " " for each in why)
    return " ".join(said.split())[:REASON_LIMIT] or None


def _plain_date(given: date | str) -> date:
    if isinstance(given, date) and not isinstance(given, datetime):
        return given
    try:
        return date.fromisoformat(str(given).strip())
    except ValueError:
        raise BadRequest("the effective date cannot be read", "a plain date such as 2026-10-15") from None
