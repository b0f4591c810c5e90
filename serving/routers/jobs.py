"""Routes for jobs, which score a whole portfolio in the background."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Request
from pydantic import Field
from starlette.responses import FileResponse, JSONResponse, Response

from features.utils.workbook import MEDIA_TYPE
from models.predictions.payload import format_instant
from models.predictions.schema import ResponseModel
from serving.common.errors import UnknownId
from serving.http.authentication import Caller, current_caller, require_scope
from serving.http.dependencies import BODY_PROBLEMS, JSON_ONLY, HomeDep, StoreDep, problem_responses
from serving.http.idempotency import IDEMPOTENT, request_name
from serving.schemas.base import RequestModel
from serving.schemas.field_types import AsOfInstant
from serving.scoring.job_worker import jobs_folder
from serving.store import jobs

router = APIRouter(tags=["jobs"])
NO_STORE = "The store cannot be reached, or too many jobs are queued; retry after the time in Retry-After."
JobId = Annotated[str, Path(max_length=40, pattern="^job_[0-9a-f]+$")]
MEDIA = {
    "csv": "text/csv",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": MEDIA_TYPE,
}


class JobRequest(RequestModel):
    """Score a whole portfolio into a file."""

    as_of: AsOfInstant | None = Field(None, description="The date of a scored snapshot. Default: the latest.")
    format: Literal["csv", "ndjson", "parquet", "xlsx"] = "csv"


class JobStatus(ResponseModel):
    """The state and progress of a job."""

    id: str
    state: jobs.JobState
    created_at: str
    finished_at: str | None
    rows_done: int
    rows_total: int | None = Field(description="The number of accounts; null until it is known.")
    result: str | None = Field(description="The path of the file after the job has finished; it is stored for 7 days.")
    reason: str | None = Field(description="Why the job failed.")
    notes: str | None = Field(description="Notes to read before the result is used.")


@router.post(
    "/v1/jobs",
    status_code=202,
    summary="Start a job that writes the whole portfolio to a file",
    operation_id="createJob",
    response_model=JobStatus,
    dependencies=[JSON_ONLY, require_scope("write"), IDEMPOTENT],
    responses=problem_responses(**BODY_PROBLEMS, s422="The body is invalid; `errors` lists the places.", s503=NO_STORE),
)
def create_job(
    request: Request, store: StoreDep, caller: Annotated[Caller, Depends(current_caller)], body: JobRequest
) -> Response:
    """Returns as soon as the job is stored. It is completed even if the service is restarted. Use `Location` or `id` to
    check its state."""
    params = {"format": body.format, "as_of": None if body.as_of is None else body.as_of.isoformat()}
    with store.begin() as connection:
        job = jobs.accept(connection, params, caller.id, request_name(request))
    request.app.state.jobs.wake()
    return JSONResponse(_payload(job), 202, {"Location": f"/v1/jobs/{job.id}"})


@router.get(
    "/v1/jobs/{job_id}",
    summary="Get the state of a job",
    operation_id="getJob",
    response_model=JobStatus,
    dependencies=[require_scope("predict")],
    responses=problem_responses(s404="There is no such job.", s422="The id is not valid.", s503=NO_STORE),
)
def get_job(store: StoreDep, job_id: JobId) -> Response:
    """Repeat the request every few seconds until `state` is finished or failed."""
    with store.read() as connection:
        return JSONResponse(_payload(jobs.find(connection, job_id)))


@router.get(
    "/v1/jobs/{job_id}/result",
    summary="Download the result of a job",
    operation_id="getJobResult",
    response_class=FileResponse,
    dependencies=[require_scope("predict")],
    responses={
        200: {
            "description": "The file.",
            "content": {media: {"schema": {"type": "string"}} for media in MEDIA.values()},
        },
        **problem_responses(s404="There is no such job, or no result yet.", s422="The id is not valid.", s503=NO_STORE),
    },
)
def get_job_result(home: HomeDep, store: StoreDep, job_id: JobId) -> Response:
    """Returns one row per account, in the same format as `renewcast score`."""
    with store.read() as connection:
        job = jobs.find(connection, job_id)
    file = None if job.file is None else jobs_folder(home) / job.file
    if file is None or not file.is_file():
        raise UnknownId("the job has no result", "a job that has finished", "check the state of the job")
    return FileResponse(file, media_type=MEDIA[job.request["format"]], filename=job.file)


def _payload(job: jobs.Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "state": job.state,
        "created_at": format_instant(job.created_at.replace(microsecond=0)),
        "finished_at": None if job.finished_at is None else format_instant(job.finished_at.replace(microsecond=0)),
        "rows_done": job.rows_done,
        "rows_total": job.rows_total,
        "result": None if job.file is None else f"/v1/jobs/{job.id}/result",
        "reason": job.reason,
        "notes": job.notes,
    }
