"""The worker that runs scoring jobs, one thread per process.

A job writes the rows of a whole portfolio, as `renewcast score` does, from a scored snapshot to a file under ``jobs/``
in the home.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from features.errors import RenewcastError
from features.utils.dates import parse_instant
from models.home import Home
from models.home_writers import writing
from models.predictions.payload import format_instant
from models.predictions.portfolio_table import portfolio_rows
from models.predictions.table_export import formula_note, write_frame
from serving.common.errors import NotReady, StoreDown
from serving.common.json_logs import error_location, log_event
from serving.snapshots.live_state import LiveStateManager
from serving.store import jobs
from serving.store.database import Store
from serving.store.jobs import CLAIM_DURATION, Job

#: The maximum time that a job waits for the service to be ready.
READINESS_TIMEOUT = timedelta(hours=1)


class JobWorker:
    """Runs jobs one by one.

    Parameters
    ----------
    home, live : the home with the snapshots, and the live state.
    store : the store with the jobs.
    every : seconds after which a claim is extended.
    """

    def __init__(
        self, home: Home, live: LiveStateManager, store: Store, every: float = CLAIM_DURATION.total_seconds() / 4
    ) -> None:
        self._home, self._live, self._store, self._every = home, live, store, every

    def work(self) -> bool:
        """Run the next job. Return whether there was one that could be run.

        Raises
        ------
        StoreDown : the store cannot be reached.
        """
        with self._store.begin() as connection:
            job = jobs.claim(connection, datetime.now(UTC))
        if job is None:
            self._forget()
            return False
        try:
            with self._claimed(job), writing(self._home, "job"):
                file, rows, notes = self._run(job)
        except StoreDown:
            raise
        except NotReady as error:
            # For example, a broken champion is being fixed; the job is retried for a while.
            if datetime.now(UTC) - job.created_at > READINESS_TIMEOUT:
                self._fail(job, error.found)
                return True
            with self._store.begin() as connection:
                jobs.release(connection, job)
            return False
        except RenewcastError as error:
            self._fail(job, error.found.replace(str(self._home.root), "RENEWCAST_HOME"))
        except Exception as error:  # noqa: BLE001 a job may not end the worker
            log_event("job_failed", logging.ERROR, job=job.id, **error_location(error))
            self._fail(job, f"{type(error).__name__}; the log says where")
        else:
            with self._store.begin() as connection:
                finished = jobs.finish(connection, job, file, rows, notes)
            if not finished:
                self._remove(file)
            log_event("job" if finished else "job_taken_over", job=job.id, rows=rows)
        return True

    def _run(self, job: Job) -> tuple[str, int, str | None]:
        as_of = job.request.get("as_of")
        scored = self._live.current().scored(None if as_of is None else parse_instant(as_of))
        total = len(scored.assessment.frame)
        self._report(job, 0, total)
        rows = portfolio_rows(scored.assessment).assign(as_of=format_instant(scored.as_of))
        self._report(job, total, total)
        # The attempt is part of the name: a worker that has lost its claim must not overwrite a result.
        name = f"{job.id}-{job.attempt}.{job.request['format']}"
        write_frame(rows, jobs_folder(self._home) / name)
        return name, len(rows), formula_note(rows, f".{job.request['format']}")

    def _report(self, job: Job, done: int, total: int) -> None:
        with self._store.begin() as connection:
            jobs.report_progress(connection, job, done, total)

    @contextmanager
    def _claimed(self, job: Job) -> Iterator[None]:
        """Extend the claim while the block runs."""
        done = threading.Event()

        def keep() -> None:
            while not done.wait(self._every):
                # If the store is unavailable for longer than the claim lasts, another worker may take over the job.
                with suppress(StoreDown), self._store.begin() as connection:
                    jobs.extend_claim(connection, job, datetime.now(UTC))

        extender = threading.Thread(target=keep, name="job-claim", daemon=True)
        extender.start()
        try:
            yield
        finally:
            done.set()
            extender.join()

    def _fail(self, job: Job, reason: str) -> None:
        with self._store.begin() as connection:
            jobs.fail(connection, job, reason)

    def _forget(self) -> None:
        with self._store.begin() as connection:
            files = jobs.delete_expired(connection, datetime.now(UTC))
        for file in files:
            self._remove(file)

    def _remove(self, file: str) -> None:
        with suppress(OSError):
            (jobs_folder(self._home) / file).unlink(missing_ok=True)


def jobs_folder(home: Home) -> Path:
    """Where the results of jobs are."""
    return home.root / "jobs"
