"""Background jobs: queued, running, finished or failed.

A job is not lost if the process ends: when the claim of its worker expires, another worker takes it, at most
`MAX_ATTEMPTS` times in all.
"""

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
#: How long a claim is valid. A worker that does not extend it within this time has ended.
CLAIM_DURATION = timedelta(minutes=2)
MAX_ATTEMPTS = 3
#: How many jobs may be queued.
MAX_QUEUED = 100
#: How long finished jobs and their files are stored.
RETENTION = timedelta(days=7)


@dataclass(frozen=True)
class Job:
    """One job.

    Parameters
    ----------
    id : its identifier.
    attempt : how often it was claimed. A worker can change it only while this number is that of the worker's claim.
    state : queued, running, finished or failed.
    request : the request, as plain data.
    created_at, finished_at : UTC.
    rows_done, rows_total : progress; None while unknown.
    file : the name of its result in the folder of results.
    reason : why it failed.
    notes : remarks on its result.
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
    """Queue a job.

    Parameters
    ----------
    by : the id of the caller's key.
    name : makes the id. Only the first job of a name is queued; later calls return it.

    Raises
    ------
    Busy : too many jobs are queued.
    """
    job_id = f"job_{name or secrets.token_hex(8)}"
    if name is not None:
        row = connection.execute(select(jobs).where(jobs.c.id == job_id)).one_or_none()
        if row is not None:
            return _job(row)
    waiting = connection.execute(select(func.count()).where(jobs.c.state == "queued")).scalar_one()
    if waiting >= MAX_QUEUED:
        raise Busy("the limit of queued jobs is reached", cure="try again later")
    now = datetime.now(UTC)
    job = Job(job_id, 0, "queued", dict(request), now, None, 0, None, None, None)
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
    """Return a job by its id.

    Parameters
    ----------
    connection : a connection to the store, in a transaction.
    job_id : the id of the job.

    Returns
    -------
    Job

    Raises
    ------
    UnknownId : there is none, or it finished long ago.
    """
    row = connection.execute(select(jobs).where(jobs.c.id == job_id)).one_or_none()
    if row is None:
        raise UnknownId("there is no job with this id", f"a job that was accepted in the last {RETENTION.days} days")
    return _job(row)


def claim(connection: Connection, now: datetime) -> Job | None:
    """Claim the oldest unclaimed job until `CLAIM_DURATION` from now.

    Parameters
    ----------
    connection : a connection to the store, in a transaction.
    now : the time, UTC.

    Returns
    -------
    Job or None
        None if there is none.
    """
    open_ = or_(jobs.c.state == "queued", (jobs.c.state == "running") & (jobs.c.running_until <= now))
    query = select(jobs).where(open_).order_by(jobs.c.created_at, jobs.c.id).limit(1)
    row = connection.execute(query.with_for_update(skip_locked=True)).one_or_none()
    if row is None:
        return None
    if row.attempts >= MAX_ATTEMPTS:
        fail(connection, _job(row), "its worker ended before the job was done, several times")
        return None
    claimed = {"state": "running", "running_until": now + CLAIM_DURATION, "attempts": row.attempts + 1}
    connection.execute(jobs.update().where(jobs.c.id == row.id).values(**claimed))
    return replace(_job(row), attempt=row.attempts + 1, state="running")


def extend_claim(connection: Connection, job: Job, now: datetime) -> bool:
    """Extend a claim until `CLAIM_DURATION` from now.

    Parameters
    ----------
    connection : a connection to the store, in a transaction.
    job : the claimed job.
    now : the time, UTC.

    Returns
    -------
    bool
        False if another worker has it.
    """
    return _update(connection, job, running_until=now + CLAIM_DURATION)


def report_progress(connection: Connection, job: Job, done: int, total: int) -> None:
    """Report the progress of a claimed job, and extend the claim.

    Parameters
    ----------
    connection : a connection to the store, in a transaction.
    job : the claimed job.
    done, total : the rows that are done, and all rows.
    """
    _update(connection, job, rows_done=done, rows_total=total, running_until=datetime.now(UTC) + CLAIM_DURATION)


def release(connection: Connection, job: Job) -> None:
    """Return a job to the queue that cannot be done now. This does not count as an attempt.

    Parameters
    ----------
    connection : a connection to the store, in a transaction.
    job : the claimed job.
    """
    _update(connection, job, state="queued", running_until=None, attempts=job.attempt - 1)


def finish(connection: Connection, job: Job, file: str, rows: int, notes: str | None = None) -> bool:
    """Mark a job as finished.

    Parameters
    ----------
    file : the name of its result.
    rows : number of rows in the result.
    notes : remarks on the result, without values of accounts.

    Returns
    -------
    bool
        False if another worker has claimed the job.
    """
    now = datetime.now(UTC)
    result = {"finished_at": now, "rows_done": rows, "rows_total": rows, "file": file, "notes": notes}
    return _update(connection, job, state="finished", running_until=None, **result)


def fail(connection: Connection, job: Job, reason: str) -> None:
    """Mark a job as failed.

    Parameters
    ----------
    connection : a connection to the store, in a transaction.
    job : the claimed job.
    reason : why; it must contain no values of accounts.
    """
    _update(connection, job, state="failed", finished_at=datetime.now(UTC), reason=reason, running_until=None)


def _update(connection: Connection, job: Job, **values: Any) -> bool:
    """Update a running job, unless another worker has claimed it since."""
    mine = (jobs.c.id == job.id) & (jobs.c.attempts == job.attempt) & (jobs.c.state == "running")
    return connection.execute(jobs.update().where(mine).values(**values)).rowcount == 1


def delete_expired(connection: Connection, now: datetime) -> list[str]:
    """Delete jobs that finished more than `RETENTION` ago.

    Parameters
    ----------
    connection : a connection to the store, in a transaction.
    now : the time, UTC.

    Returns
    -------
    list of str
        The names of their files.
    """
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
