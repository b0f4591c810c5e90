"""Jobs: accepted, worked on, finished. What was accepted is not lost, whatever happens to the process: a job whose
worker ended comes up again once its claim has run out, `MAX_ATTEMPTS` times at most."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Row, delete, func, or_, select

from serving.common.errors import Busy, UnknownId
from serving.store.tables import jobs

JobState = Literal["queued", "running", "finished", "failed"]
#: A worker that has not told of progress for so long has ended.
CLAIM_DURATION = timedelta(minutes=2)
MAX_ATTEMPTS = 3
#: More than so many may not wait.
MAX_QUEUED = 100
#: Finished ones are kept so long, with their files.
RETENTION = timedelta(days=7)


@dataclass(frozen=True)
class Job:
    """One job.

    Parameters
    ----------
    id : names it.
    attempt : how often it has been taken up; what a worker tells counts only while this is its own.
    state : queued, running, finished or failed.
    request : what was asked for, plain data.
    created_at, finished_at : UTC.
    rows_done, rows_total : how far it is; None while that is not known.
    file : the name of its result, in the folder of results.
    reason : why it failed.
    notes : what there is to know of its result.
    """

    id: str
    attempt: int
    state: JobState
    request: Mapping[str, Any]
    created_at: datetime
    finished_at: datetime | None
    rows_done: int
    rows_total: int | None
    file: str | None
    reason: str | None
    notes: str | None = None


def accept(connection: Connection, request: Mapping[str, Any], by: str, name: str | None = None) -> Job:
    """Take a job in; ``by`` is the id of the caller's key. One of the same ``name`` is taken in once.

    Raises
    ------
    Busy : too many wait already.
    """
    made = f"job_{name or secrets.token_hex(8)}"
    if name is not None:
        row = connection.execute(select(jobs).where(jobs.c.id == made)).one_or_none()
        if row is not None:
            return _job(row)
    waiting = connection.execute(select(func.count()).where(jobs.c.state == "queued")).scalar_one()
    if waiting >= MAX_QUEUED:
        raise Busy("as many jobs as the service takes are waiting", cure="try again later")
    now = datetime.now(UTC)
    job = Job(made, 0, "queued", dict(request), now, None, 0, None, None, None)
    connection.execute(
        jobs.insert().values(
            id=job.id,
            state=job.state,
            request=json.dumps(job.request),
            created_at=now,
            created_by=by,
            attempts=0,
            rows_done=0,
        )
    )
    return job


def find(connection: Connection, job_id: str) -> Job:
    """A job by its id.

    Raises
    ------
    UnknownId : there is none, or it was long finished.
    """
    row = connection.execute(select(jobs).where(jobs.c.id == job_id)).one_or_none()
    if row is None:
        raise UnknownId("there is no job of this id", f"one that was accepted in the last {RETENTION.days} days")
    return _job(row)


def claim(connection: Connection, now: datetime) -> Job | None:
    """Claim the oldest unclaimed job until `CLAIM_DURATION` after ``now`` (UTC); None if there is none."""
    open_ = or_(jobs.c.state == "queued", (jobs.c.state == "running") & (jobs.c.running_until <= now))
    query = select(jobs).where(open_).order_by(jobs.c.created_at, jobs.c.id).limit(1)
    row = connection.execute(query.with_for_update(skip_locked=True)).one_or_none()
    if row is None:
        return None
    if row.attempts >= MAX_ATTEMPTS:
        fail(connection, _job(row), "its worker ended before it was done, several times")
        return None
    told = {"state": "running", "running_until": now + CLAIM_DURATION, "attempts": row.attempts + 1}
    connection.execute(jobs.update().where(jobs.c.id == row.id).values(**told))
    return replace(_job(row), attempt=row.attempts + 1, state="running")


def extend_claim(connection: Connection, job: Job, now: datetime) -> bool:
    """Keep the claim for `CLAIM_DURATION` from ``now`` (UTC) on; whether it still is the worker's own."""
    return _update(connection, job, running_until=now + CLAIM_DURATION)


def report_progress(connection: Connection, job: Job, done: int, total: int) -> None:
    """Tell how far a claimed job is; that also keeps the claim."""
    _update(connection, job, rows_done=done, rows_total=total, running_until=datetime.now(UTC) + CLAIM_DURATION)


def release(connection: Connection, job: Job) -> None:
    """It cannot be done now; somebody takes it up later, and this was no attempt."""
    _update(connection, job, state="queued", running_until=None, attempts=job.attempt - 1)


def finish(connection: Connection, job: Job, file: str, rows: int, notes: str | None = None) -> bool:
    """It is done, and its result lies in ``file``; whether it still was the worker's own to finish.

    ``notes`` are what there is to know of the result, without values of accounts.
    """
    now = datetime.now(UTC)
    told = {"finished_at": now, "rows_done": rows, "rows_total": rows, "file": file, "notes": notes}
    return _update(connection, job, state="finished", running_until=None, **told)


def fail(connection: Connection, job: Job, reason: str) -> None:
    """It cannot be done; ``reason`` holds no values of accounts."""
    _update(connection, job, state="failed", finished_at=datetime.now(UTC), reason=reason, running_until=None)


def _update(connection: Connection, job: Job, **told: Any) -> bool:
    """Note something of a running job, unless another has taken it up since."""
    mine = (jobs.c.id == job.id) & (jobs.c.attempts == job.attempt) & (jobs.c.state == "running")
    return connection.execute(jobs.update().where(mine).values(**told)).rowcount == 1


def delete_expired(connection: Connection, now: datetime) -> list[str]:
    """Forget jobs that were finished `RETENTION` before ``now``; the names of their files."""
    old = jobs.c.finished_at < now - RETENTION
    files = [file for file in connection.execute(select(jobs.c.file).where(old)).scalars() if file]
    connection.execute(delete(jobs).where(old))
    return files


def _job(row: Row[Any]) -> Job:
    return Job(
        row.id,
        row.attempts,
        row.state,
        json.loads(row.request),
        row.created_at,
        row.finished_at,
        row.rows_done,
        row.rows_total,
        row.file,
        row.reason,
        row.notes,
    )
