"""Signing a review off: two people, nothing changed since it was held, and from a date on another version of the
rubric.

The history is the truth: one file, replaced whole by one writer at a time. A version's file is written before the
history speaks of it; one that a crash has left behind is written again.
"""

from __future__ import annotations

import secrets
from datetime import UTC, date, datetime

from features.alone import alone
from features.atomic import write_file
from features.clock import show
from features.errors import BadRequest
from models.champion import load_champion
from models.home import Home
from models.reviews import Kept, one_review
from models.rubric import Rubric
from models.rubric_history import Decision, HistoryFile, Written, read_history, sha256, version_file
from models.rubric_text import revised

LONGEST = 200


class ChangedSince(BadRequest):
    """What was reviewed is not what there is now."""


class AlreadyDecided(BadRequest):
    """The review was signed or rejected before, or its proposal came too late."""


def approve(
    home: Home,
    review: str,
    author: str,
    reviewer: str,
    owner: str,
    effective: date | str,
    *,
    reject: bool = False,
    why: str | None = None,
    data_fingerprint: str | None = None,
) -> Decision:
    """Record a sign-off or a rejection. What changes weights or limits writes a new version of the rubric, which is in
    force from its effective date on; earlier scores stay as they were.

    Parameters
    ----------
    review : its id, or its folder.
    author, reviewer : who proposes and who has looked at it: two different people.
    owner : the CS owner, who sees to it.
    effective : a plain date; not before the end of the reviewed quarter, that of the last approved version, or a date
        that was scored already.
    reject : record that it was turned down; nothing is checked against the review then, and nothing changes.
    why : kept with it.
    data_fingerprint : of the signals as they are now, up to the review's ``data_through`` (`features.fingerprint`);
    needed
        to approve.

    Raises
    ------
    UnknownReview, HomeError
        There is no such review, or it or the history is broken.
    BadRequest
        A name is missing, author and reviewer are one person, or the date cannot be.
    ChangedSince
        Data, rubric or model are not those that were reviewed: which.
    AlreadyDecided
        It was decided before.
    """
    first, second = two_people(author, reviewer)
    day, owned = _plain_date(effective), _person("owner", owner)
    reason = None if why is None else " ".join(why.split())[:2000]
    with alone(home.rubrics / ".lock"):
        kept, history = one_review(home, review), read_history(home)
        if (earlier := history.of_review(kept.told.id)) is not None:
            raise AlreadyDecided(
                f"the review was {earlier.what} on {earlier.at.date().isoformat()}",
                "a review that is open",
                "hold a new one, or take an approval back: `renewcast approve --rollback`",
            )
        told = kept.told.sign_off
        decision = Decision(
            id=_new_id(),
            at=datetime.now(UTC),
            what="rejected" if reject else "approved",
            review=kept.told.id,
            rubric=told.rubric,
            owner=owned,
            why=reason,
            effective=day,
            hashes=told.hashes,
            author=first,
            reviewer=second,
        )
        if not reject:
            in_force = _unchanged(home, kept, data_fingerprint, day)
            _refuse_past(home, history, kept, day)
            if told.changes:
                decision = _with_version(home, history, kept, decision, in_force)
        _append(home, history, decision)
        return decision


def roll_back(home: Home, rubric: str | None, author: str, reviewer: str, why: str | None = None) -> Decision:
    """Take the newest approved version of a rubric back: the one before is in force again for all dates. What was
    published under it stays on record as it was.

    Parameters
    ----------
    rubric : its name; the champion's if None.

    Raises
    ------
    BadRequest
        There is nothing to take back, or the two are one person.
    """
    first, second = two_people(author, reviewer)
    with alone(home.rubrics / ".lock"):
        history = read_history(home)
        name = rubric or load_champion(home).rubric.name
        known = history.approvals(name)
        if not known:
            raise BadRequest(f"no approved version of {name} is in force or to come", "an approved change")
        last = known[-1]
        decision = Decision(
            id=_new_id(),
            at=datetime.now(UTC),
            what="rolled_back",
            review=last.review,
            rubric=name,
            why=None if why is None else " ".join(why.split())[:2000],
            version=last.replaces,
            replaces=last.version,
            takes_back=last.id,
            author=first,
            reviewer=second,
        )
        _append(home, history, decision)
        return decision


def two_people(author: str, reviewer: str) -> tuple[str, str]:
    """Both names, tidied.

    Raises
    ------
    BadRequest
        One is missing, or they are the same but for case and spaces.
    """
    first, second = _person("author", author), _person("reviewer", reviewer)
    if _folded(first) == _folded(second):
        raise BadRequest(
            "author and reviewer are the same person", "two different people", "let somebody else look at it"
        )
    return first, second


def _unchanged(home: Home, kept: Kept, data: str | None, day: date) -> Rubric:
    """The rubric in force at the effective date, if that, the data and the model are what was reviewed."""
    told, champion = kept.told.sign_off, load_champion(home)
    if champion.rubric.name != told.rubric:
        champion = champion.judged_by(told.rubric)
    rubric = champion.rubric_at(datetime(day.year, day.month, day.day, tzinfo=UTC))
    changed = []
    if data is None:
        changed.append("the data could not be looked at")
    elif data != told.hashes.data:
        other = data.partition(":")[0] != told.hashes.data.partition(":")[0]
        changed.append(
            "the data cannot be compared, since another version of the engine has read them"
            if other
            else f"the data up to {show(told.data_through)} are others"
        )
    if sha256(rubric.text) != told.hashes.rubric:
        changed.append(f"the rubric {told.rubric} in force on {day} is version {rubric.version} with another text")
    churn = champion.bundles.get("churn")
    if (churn.fingerprint if churn else None) != told.hashes.model:
        changed.append(
            f"the champion is version {churn.manifest.version if churn else 'none'}, not {told.model or 'none'}"
        )
    if changed:
        raise ChangedSince(
            "changed since the review: " + "; ".join(changed),
            "what was reviewed",
            "hold the review again, and sign that",
        )
    return rubric


def _refuse_past(home: Home, history: HistoryFile, kept: Kept, day: date) -> None:
    told = kept.told.sign_off
    limits = [(told.earliest_effective, f"the quarter was reviewed up to {told.earliest_effective}")]
    if known := history.approvals(told.rubric):
        last = known[-1].effective
        assert last is not None
        limits.append((last, f"the last approved version is in force from {last}"))
    if told.changes and (scored := _last_scored(home)) is not None:
        after = date.fromordinal(scored.toordinal() + 1)
        limits.append((after, f"scores of {scored} were given already"))
    earliest, why = max(limits)
    if day < earliest:
        raise BadRequest(f"{day} has passed for this rubric: {why}", f"{earliest} or later", "choose a later date")


def _last_scored(home: Home) -> date | None:
    """The newest date of which the home holds scores."""
    days = []
    for file in home.snapshots.glob("????-??-??*.parquet"):
        try:
            days.append(date.fromisoformat(file.name[:10]))
        except ValueError:
            continue
    return max(days, default=None)


def _with_version(home: Home, history: HistoryFile, kept: Kept, decision: Decision, old: Rubric) -> Decision:
    told, day = kept.told.sign_off, decision.effective
    assert told.proposed_weights is not None
    assert told.proposed_bands is not None
    assert day is not None
    version = _next_version(home, history, told.rubric, day, old.version)
    note = f"Version {version}, in force from {day} on, by the review {kept.told.id}; before it: version {old.version}."
    text = revised(old.text, version, told.proposed_weights, told.proposed_bands, note, told.proposed_profiles)
    for name, content in ((old.version, old.text), (version, text)):
        write_file(version_file(home, told.rubric, name), content)
    return decision.model_copy(
        update={
            "version": Written(version=version, sha256=sha256(text)),
            "replaces": Written(version=old.version, sha256=sha256(old.text)),
            "meaning": told.meaning,
        }
    )


def _next_version(home: Home, history: HistoryFile, rubric: str, day: date, old: str) -> str:
    """Named after the quarter in which it begins; with a number where that was taken, rolled back ones included."""
    base = f"{day.year:04d}Q{(day.month - 1) // 3 + 1}"
    taken = {old} | {
        written.version
        for each in history.decisions
        if each.rubric == rubric
        for written in (each.version, each.replaces)
        if written is not None
    }
    names = [base, *(f"{base}.{k}" for k in range(1, len(taken) + 2))]
    return next(name for name in names if name not in taken)


def _append(home: Home, history: HistoryFile, decision: Decision) -> None:
    told = history.model_copy(update={"decisions": (*history.decisions, decision)})
    write_file(home.rubric_history, told.model_dump_json(indent=1, exclude_none=True) + "\n")


def _person(what: str, name: str) -> str:
    told = " ".join(name.split())
    if not told or len(told) > LONGEST or not told.isprintable():
        raise BadRequest(f"the {what} has no name that can be kept", f"a name of 1 to {LONGEST} characters")
    return told


def _folded(name: str) -> str:
    return "".join(name.split()).casefold()


def _plain_date(given: date | str) -> date:
    if isinstance(given, date) and not isinstance(given, datetime):
        return given
    try:
        return date.fromisoformat(str(given).strip())
    except ValueError:
        raise BadRequest("the effective date cannot be read", "a plain date such as 2026-10-15") from None


def _new_id() -> str:
    return f"cal_{secrets.token_hex(8)}"
