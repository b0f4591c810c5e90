"""Signing off a review: two people sign with their own keys, and a new version of the rubric applies from a date on.

The first signature is recorded with its terms and waits. The second, with another person's key, completes the decision
if nothing has changed since the review. The history is the source of truth: one file, replaced as a whole by one writer
at a time. A version's file is written before the history names it; if a crash leaves one behind, it is written again.
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
from features.utils.formatting import day
from features.utils.periods import Quarter
from models.health.rubric import Rubric
from models.health.rubric_editor import revise_rubric_text
from models.health.rubric_versions import (
    DECISION_NOUNS,
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
from models.statements import WHY_LIMIT


class ReviewChanged(BadRequest):
    """Something has changed since the review or the first signature."""


class AlreadyDecided(BadRequest):
    """The review already has a decision."""


class TermsDiffer(ReviewChanged):
    """Another person has already signed different terms."""


class SameSigner(BadRequest):
    """Both signatures would come from the same person."""


@dataclass(frozen=True)
class Signer:
    """The person who signs, authenticated by an API key.

    Parameters
    ----------
    key : the id of the key.
    name : the name of the key, which is the name of the person.
    """

    key: str
    name: str


@dataclass(frozen=True)
class SignOffRequest:
    """What a person signs. Terms that are None are taken from the first signature.

    Parameters
    ----------
    reject : reject the review; then nothing is compared with the review, and nothing changes.
    owner : the CS owner, who is responsible; required for the first signature of an approval.
    effective : the effective date, not before `earliest_effective`, which is the default.
    why : the reason, stored with the decision.
    first : SHA-256 of the first signature as shown to the signer; None skips this check.
    replace : replace different terms that another person has signed first. Not needed with ``first``, since the signer
        has then seen that signature.
    """

    reject: bool = False
    owner: str | None = None
    effective: date | str | None = None
    why: str | None = None
    first: str | None = None
    replace: bool = False


@dataclass(frozen=True)
class SignOffResult:
    """The result of a signature: a decision, or terms that wait for the signature of another person.

    Parameters
    ----------
    decision : the decision; None while the second signature is missing.
    pending : the terms that wait; None if both signatures are there.
    instead_of : the first signature with different terms that this one has replaced.
    """

    decision: ReviewDecision | None
    pending: PendingDecision | None
    instead_of: PendingDecision | None = None

    def words(self) -> str:
        """Describe the result for people."""
        if self.decision is not None:
            return self.decision.words()
        assert self.pending is not None
        by = f"{DECISION_NOUNS[self.pending.what]} of {self.pending.review}: signed by {self.pending.signature.name}"
        since = f", in force from {day(self.pending.effective)}" if self.pending.what == "approved" else ""
        lines = [
            f"{by}{since}. One signature is missing. Another person must sign with their own key: {self._command()}"
        ]
        if self.instead_of is not None:
            lines.append(
                f"It replaces the {DECISION_NOUNS[self.instead_of.what]} that"
                f" {self.instead_of.signature.name} had signed with different terms."
            )
        return "\n".join(lines)

    def _command(self) -> str:
        """Return the command for the second person."""
        assert self.pending is not None
        option = {"approved": "", "rejected": " --reject", "rolled_back": " --rollback"}[self.pending.what]
        return f"RENEWCAST_KEY=… renewcast approve {self.pending.review}{option}"


class EarliestDate(NamedTuple):
    """The first possible effective date, and the reason why it cannot be earlier."""

    day: date
    why: str


def earliest_effective(home: Home, history: HistoryFile, rubric: str, reviewed_to: date, changes: bool) -> EarliestDate:
    """Return the first possible effective date of an approved review.

    It is not within the reviewed quarter, not before the last approved version, and, if the rubric changes, after the
    last date with scores. It is the default effective date and moves forward as new dates are scored.

    Parameters
    ----------
    rubric : the name of the reviewed rubric.
    reviewed_to : the day after the reviewed quarter.
    changes : whether approval creates a new version of the rubric.

    Raises
    ------
    HomeError
        The home cannot be read.
    """
    limits = [EarliestDate(reviewed_to, f"the quarter was reviewed up to {day(reviewed_to)}")]
    if approvals := history.approvals(rubric):
        last = approvals[-1].effective
        assert last is not None
        limits.append(EarliestDate(last, f"the last approved version is in force from {day(last)}"))
    if changes and (scored := _last_scored(home)) is not None:
        limits.append(EarliestDate(date.fromordinal(scored.toordinal() + 1), f"scores of {day(scored)} already exist"))
    return max(limits)


def earliest_for_review(home: Home, history: HistoryFile, proposal: SignOffProposal) -> EarliestDate:
    """Return `earliest_effective` for a review.

    Parameters
    ----------
    home : the home.
    history : the decisions of the home.
    proposal : the proposal of the review.

    Returns
    -------
    EarliestDate
    """
    return earliest_effective(home, history, proposal.rubric, proposal.earliest_effective, proposal.changes)


def sign(
    home: Home,
    review: str,
    signer: Signer,
    request: SignOffRequest,
    *,
    is_good: Callable[[str], bool] | None = None,
    data_fingerprint: str | None = None,
) -> SignOffResult:
    """Sign the approval or the rejection of a review, as the first or the second person.

    The second signature completes the same terms that another person has signed. If weights or limits change, the
    decision writes a new version of the rubric, which is in force from its effective date; earlier scores do not
    change. Terms that differ from another person's first signature are rejected, unless they replace it: this signature
    is then the first one, and the other lapses.

    Parameters
    ----------
    review : the id or the folder of the review.
    signer : the person who signs; the caller has checked the key.
    request : the terms.
    is_good : returns whether a key, given its id, is still valid; a first signature with a revoked key lapses.
    data_fingerprint : the fingerprint of the current signals up to the review's ``data_through``
        (`features.signals.fingerprint`); required to approve.

    Raises
    ------
    UnknownReview, HomeError
        There is no such review, or the review or the history is broken.
    BadRequest
        A name is missing, or the date is too early.
    SameSigner
        The first signature has the same key, or a name that looks the same.
    ReviewChanged
        Data, rubric, model or proposal have changed since the review; the message says which. A first signature then
        lapses.
    TermsDiffer
        Another person has signed different terms; the message says which differ.
    AlreadyDecided
        The review already has a decision.
    """
    with exclusive_lock(home.rubrics / ".lock"):
        history = read_history(home)
        plan = _plan(home, history, review, signer, request)
        if plan.terms is None:
            _refuse_revoked(home, history, plan.first, is_good)
            in_force = _check_first_signature(home, history, plan.record, plan.first, data_fingerprint)
            return _complete(home, history, plan.first, signer, plan.record, in_force)
        if plan.terms.effective is not None:
            _require_unchanged(home, plan.record, data_fingerprint, plan.terms.effective)
        return _begin(home, history, plan.terms, signer, plan.waiting)


def check_sign(home: Home, review: str, signer: Signer, request: SignOffRequest) -> None:
    """Make the checks of `sign` that do not depend on the data, before the data are read, which can take a while.

    Parameters
    ----------
    home, review, signer, request : as in `sign`.
    """
    _plan(home, read_history(home), review, signer, request)


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
    """Sign the rollback of the newest approved version of a rubric, as the first or the second person.

    The previous version is then in force again for all dates. Results that were published with the version do not
    change.

    Parameters
    ----------
    rubric : the name of the rubric; by default that of the review, or else of the champion.
    review : the review that the version must belong to; any if None.
    The other parameters and exceptions are as in `sign`.

    Raises
    ------
    BadRequest
        There is nothing to roll back, or the version belongs to another review.
    """
    # Imported late: reviews are listed without the libraries of models.
    from models.artifacts.champion import load_champion

    tidy_name("key", signer.name)
    reason = _reason(why)
    with exclusive_lock(home.rubrics / ".lock"):
        history = read_history(home)
        record = None if review is None else find_review(home, review)
        of = rubric or (load_champion(home).rubric.name if record is None else record.review.sign_off.rubric)
        approvals = history.approvals(of)
        if not approvals or (record is not None and approvals[-1].review != record.review.id):
            raise BadRequest(
                f"no approved version of {of} is in force or scheduled"
                if not approvals
                else f"the newest approved version of {of} belongs to the review {approvals[-1].review}",
                "the newest approved version",
                "roll that one back first" if approvals else "",
            )
        last = approvals[-1]
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
    """The effect of a signature on a review: complete the pending terms (``terms`` is None), or sign new ones."""

    record: ReviewRecord
    waiting: PendingDecision | None
    terms: DecisionTerms | None

    @property
    def first(self) -> PendingDecision:
        assert self.waiting is not None
        return self.waiting


def _plan(home: Home, history: HistoryFile, review: str, signer: Signer, request: SignOffRequest) -> _Plan:
    tidy_name("key", signer.name)
    day = None if request.effective is None or request.reject else _plain_date(request.effective)
    owner, reason = None if request.owner is None else tidy_name("owner", request.owner), _reason(request.why)
    what: Literal["approved", "rejected"] = "rejected" if request.reject else "approved"
    record = find_review(home, review)
    if (earlier := history.of_review(record.review.id)) is not None:
        raise AlreadyDecided(
            f"the review was {earlier.what} on {earlier.at.date().isoformat()}",
            "a review without a decision",
            "run a new review, or roll an approval back: `renewcast approve --rollback`",
        )
    proposal, waiting = record.review.sign_off, history.pending_of(record.review.id)
    _require_shown(waiting, request.first)
    given = {"owner": owner, "effective": day, "why": reason}
    if waiting is not None and waiting.what == what and _agrees(waiting, given):
        _refuse_same_person(waiting, signer)
        return _Plan(record, waiting, None)
    if waiting is not None and waiting.signature.key != signer.key and not request.replace and request.first is None:
        raise _other_terms(waiting, what, given)
    if not request.reject:
        if owner is None:
            raise BadRequest(
                "the CS owner is missing", "the name of the person who is responsible for the rubric", "name the owner"
            )
        earliest = earliest_for_review(home, history, proposal)
        day = day or earliest.day
        if day < earliest.day:
            raise BadRequest(
                f"{day} is too early for this rubric: {earliest.why}",
                f"{earliest.day} or later",
                "choose a later date, or omit the date",
            )
    terms = DecisionTerms(
        what=what,
        review=record.review.id,
        rubric=proposal.rubric,
        owner=owner,
        why=reason,
        effective=day,
        hashes=proposal.hashes,
        proposal=proposal_hash(proposal),
    )
    return _Plan(record, waiting, terms)


def lapse_reason(home: Home, history: HistoryFile, record: ReviewRecord, waiting: PendingDecision) -> str:
    """Return why a first signature no longer counts; empty if it still does. The data are not checked.

    Parameters
    ----------
    home : the home.
    history : the decisions of the home.
    record : the review.
    waiting : the decision with one signature.

    Returns
    -------
    str

    Raises
    ------
    BundleError, RubricError, HomeError
        The champion or the home is broken.
    """
    if waiting.what == "rolled_back":
        approvals = history.approvals(waiting.rubric)
        return "" if approvals and approvals[-1].id == waiting.takes_back else "another version has been approved since"
    proposal = record.review.sign_off
    if waiting.hashes != proposal.hashes or waiting.proposal != proposal_hash(proposal):
        return "the proposal of the review has changed"
    if waiting.what == "rejected":
        return ""
    assert waiting.effective is not None
    earliest = earliest_for_review(home, history, proposal)
    if waiting.effective < earliest.day:
        return f"{day(waiting.effective)} is too early for this rubric: {earliest.why}"
    changed, _ = _changes_since(home, record, waiting.effective)
    return "; ".join(changed)


def proposal_hash(proposal: SignOffProposal) -> str:
    """Return the SHA-256 of a review's proposal: weights, limits, profiles, and the churn rates of their scores."""
    proposed = proposal.model_dump_json(
        include={"rubric", "version", "proposed_weights", "proposed_bands", "proposed_profiles", "meaning"}
    )
    return hashlib.sha256(proposed.encode()).hexdigest()


def _begin(
    home: Home, history: HistoryFile, terms: DecisionTerms, signer: Signer, waiting: PendingDecision | None
) -> SignOffResult:
    """Record a first signature. It replaces a pending one with different terms."""
    signature = _signature("author", signer, terms.model_dump(mode="json"), history.last_signature)
    pending = PendingDecision(**terms.model_dump(), id=f"cal_{secrets.token_hex(8)}", signature=signature)
    write_history(home, history.model_copy(update={"pending": (*_without(history.pending, waiting), pending)}))
    return SignOffResult(None, pending, waiting)


def _complete(
    home: Home,
    history: HistoryFile,
    waiting: PendingDecision,
    signer: Signer,
    record: ReviewRecord | None = None,
    in_force: Rubric | None = None,
) -> SignOffResult:
    """Record the decision that a second signature completes."""
    version = replaces = meaning = None
    if waiting.what == "rolled_back":
        taken = next(each for each in history.decisions if each.id == waiting.takes_back)
        version, replaces = taken.replaces, taken.version
    elif waiting.what == "approved" and record is not None and in_force is not None and record.review.sign_off.changes:
        version, replaces = _write_versions(home, history, record, waiting, in_force)
        meaning = record.review.sign_off.meaning
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
    """Return whether the given terms (None for unspecified) equal those of the first signature."""
    return all(value is None or value == getattr(waiting, name) for name, value in given.items())


def _other_terms(waiting: PendingDecision, what: str, given: Mapping[str, object]) -> TermsDiffer:
    """Return the error that names the terms that differ from the first signature."""
    if waiting.what != what:
        differs = f"the decision: {DECISION_NOUNS[waiting.what]}, not {DECISION_NOUNS[what]}"
    else:
        differs = "; ".join(
            f"{name}: {getattr(waiting, name) or 'none'}, not {value}"
            for name, value in given.items()
            if value is not None and value != getattr(waiting, name)
        )
    return TermsDiffer(
        f"{waiting.signature.name} has already signed different terms ({differs})",
        "the same terms, which can be omitted",
        "omit them to sign the same terms, or add --replace to sign these instead; the first signature then lapses",
    )


def _require_shown(waiting: PendingDecision | None, first: str | None) -> None:
    if first is not None and (waiting is None or waiting.signature.sha256 != first):
        raise ReviewChanged(
            "the first signature is not the one that was shown", "the current first signature", "reload and check it"
        )


def _refuse_same_person(waiting: PendingDecision, signer: Signer) -> None:
    made = waiting.signature
    if made.key == signer.key or same_person(made.name, signer.name):
        with_key = "with this key" if made.key == signer.key else "with a key whose name is the same or looks the same"
        raise SameSigner(
            f"author and reviewer are the same person: {made.name} signed first, {with_key}",
            "a second signature by another person",
            "let another person sign with their own key (`renewcast keys create NAME --scope admin`)",
        )


def _refuse_revoked(
    home: Home, history: HistoryFile, waiting: PendingDecision, is_good: Callable[[str], bool] | None
) -> None:
    """Remove a first signature whose key was revoked."""
    if is_good is None or is_good(waiting.signature.key):
        return
    write_history(home, history.model_copy(update={"pending": _without(history.pending, waiting)}))
    raise ReviewChanged(
        f"the first signature, by {waiting.signature.name}, has lapsed: its key was revoked",
        "a first signature with a valid key",
        "sign again as the first person",
    )


def _check_first_signature(
    home: Home, history: HistoryFile, record: ReviewRecord, waiting: PendingDecision, data: str | None
) -> Rubric | None:
    """Return the rubric in force at the effective date of an approval, if the first signature still counts.

    A first signature that no longer counts is removed.
    """
    why, in_force = lapse_reason(home, history, record, waiting), None
    try:
        if not why and waiting.what == "approved":
            assert waiting.effective is not None
            in_force = _require_unchanged(home, record, data, waiting.effective)
    except ReviewChanged:
        if data is not None:
            write_history(home, history.model_copy(update={"pending": _without(history.pending, waiting)}))
        raise
    if why:
        write_history(home, history.model_copy(update={"pending": _without(history.pending, waiting)}))
        raise ReviewChanged(
            f"the first signature, by {waiting.signature.name}, has lapsed: {why}",
            "what was signed first",
            "sign again as the first person; if data, rubric or model have changed, run the review again",
        )
    return in_force


def _changes_since(home: Home, record: ReviewRecord, day: date) -> tuple[list[str], Rubric]:
    """Return what has changed in rubric and model since the review, and the rubric in force at a date."""
    from models.artifacts.champion import load_champion

    proposal, champion = record.review.sign_off, load_champion(home)
    if champion.rubric.name != proposal.rubric:
        champion = champion.with_rubric(proposal.rubric)
    rubric = champion.rubric_at(datetime(day.year, day.month, day.day, tzinfo=UTC))
    changed = []
    if sha256(rubric.text) != proposal.hashes.rubric:
        changed.append(
            f"the rubric {proposal.rubric} in force on {day} is version {rubric.version} with different content"
        )
    churn = champion.bundles.get("churn")
    if (churn.fingerprint if churn else None) != proposal.hashes.model:
        changed.append(
            f"the champion is version {churn.manifest.version if churn else 'none'}, not {proposal.model or 'none'}"
        )
    return changed, rubric


def _require_unchanged(home: Home, record: ReviewRecord, data: str | None, day: date) -> Rubric:
    """Return the rubric in force at the effective date if rubric, data and model are those that were reviewed."""
    proposal = record.review.sign_off
    changed, rubric = _changes_since(home, record, day)
    if data is None:
        changed.insert(0, "the data could not be read")
    elif data != proposal.hashes.data:
        other = data.partition(":")[0] != proposal.hashes.data.partition(":")[0]
        changed.insert(
            0,
            "the data cannot be compared: they were read with another version of the engine"
            if other
            else f"the data up to {to_iso(proposal.data_through)} have changed",
        )
    if changed:
        raise ReviewChanged(
            "changed since the review: " + "; ".join(changed),
            "the reviewed state",
            "run the review again, and sign the new one",
        )
    return rubric


def _last_scored(home: Home) -> date | None:
    """Return the newest date with scores in the home."""
    days = []
    for file in home.snapshots.glob("????-??-??*.parquet"):
        try:
            days.append(date.fromisoformat(file.name[:10]))
        except ValueError:
            continue
    return max(days, default=None)


def _write_versions(
    home: Home, history: HistoryFile, record: ReviewRecord, terms: DecisionTerms, old: Rubric
) -> tuple[RubricVersion, RubricVersion]:
    """Write the new version and the one that it replaces to files of the home."""
    proposal, day = record.review.sign_off, terms.effective
    assert proposal.proposed_weights is not None
    assert proposal.proposed_bands is not None
    assert day is not None
    version = _next_version(history, proposal.rubric, day, old.version)
    review = record.review.id
    note = f"Version {version}, in force from {day} on, by the review {review}; before it: version {old.version}."
    text = revise_rubric_text(
        old.text, version, proposal.proposed_weights, proposal.proposed_bands, note, proposal.proposed_profiles
    )
    spoken_of = [
        w for each in history.decisions if each.rubric == proposal.rubric for w in (each.version, each.replaces)
    ]
    if any(w is not None and w.version == old.version and w.sha256 != sha256(old.text) for w in spoken_of):
        raise BadRequest(
            f"the home already has a different file for version {old.version} of {proposal.rubric}",
            "one file per version",
            "give the rubric that is in use a new version",
        )
    for name, content in ((old.version, old.text), (version, text)):
        write_file(version_file(home, proposal.rubric, name), content)
    return RubricVersion(version=version, sha256=sha256(text)), RubricVersion(
        version=old.version, sha256=sha256(old.text)
    )


def _next_version(history: HistoryFile, rubric: str, day: date, old: str) -> str:
    """Return a name after the quarter of the effective date, with a number if it is taken, also by rolled back ones."""
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
    """Return the reason on one line without unprintable characters; None if it is empty."""
    if why is None:
        return None
    printable = "".join(each if each.isprintable() else " " for each in why)
    return " ".join(printable.split())[:WHY_LIMIT] or None


def _plain_date(given: date | str) -> date:
    if isinstance(given, date) and not isinstance(given, datetime):
        return given
    try:
        return date.fromisoformat(str(given).strip())
    except ValueError:
        raise BadRequest("invalid effective date", "a date such as 2026-10-15") from None
