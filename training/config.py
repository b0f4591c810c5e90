"""An experiment's settings: a file that is recorded with the run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from features.errors import BadRequest
from features.utils.toml_text import TomlError, parse_toml, read_toml_text
from models.health.rubric import DEFAULT_RUBRIC


class TrainConfig(BaseModel):
    """What a training run may be told; every value has a default that suits most portfolios.

    Parameters
    ----------
    horizon_days : H, over which outcomes are predicted; what is judged, and what a probability means unless told
        otherwise.
    horizons : further horizons, in days, that the same model answers for. Order businesses have none: with them, what
        is active depends on H.
    grace_days : G, within which a new subscription undoes a churn; orders have none.
    every_days : the step of the grid of snapshots.
    snapshots : at most about so many rows, accounts times dates: where they would be more, the step of the grid becomes
        a multiple of ``every_days``, up to a quarter of a year. What 24 GB of memory hold in training, with some to
        spare.
    history_days : how far back the snapshots reach at most.
    warmup_days : how long after the first subscription and the beginning of half of the feeds the
        first snapshot is taken.
    trials : of the search for LightGBM's settings.
    resamples : account bootstraps behind every interval of the judgement.
    refits : on resampled accounts, to see whether the reasons are stable; below 2 it is not looked at.
    seed : of everything random.
    threads : for LightGBM, 0 for all. Changes no result; on portfolios of this size, and beside other work, one is the
    fastest.
    rubric : the health score to judge against and to ship.
    capacity : accounts that the team can look after at a date, for what a ranking is worth to it.
    save_rate : the share of the accounts reached in time that are kept, or won; an assumption until held-out accounts
        tell it.
    cost_per_account : of looking after one account, in the source's currency.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    horizon_days: Annotated[int, Field(ge=7, le=730)] = 90
    horizons: tuple[Annotated[int, Field(ge=7, le=730)], ...] = (30, 60, 90, 180)
    grace_days: Annotated[int, Field(ge=0, le=365)] = 30
    every_days: Annotated[int, Field(ge=1, le=91)] = 7
    snapshots: Annotated[int, Field(ge=10_000)] = 400_000
    history_days: Annotated[int, Field(ge=180)] = 1100
    warmup_days: Annotated[int, Field(ge=0)] = 28
    trials: Annotated[int, Field(ge=1, le=500)] = 12
    resamples: Annotated[int, Field(ge=50, le=10_000)] = 500
    refits: Annotated[int, Field(ge=0, le=100)] = 4
    seed: int = 0
    threads: Annotated[int, Field(ge=0)] = 1
    rubric: str = DEFAULT_RUBRIC
    capacity: Annotated[int, Field(ge=1)] = 20
    save_rate: Annotated[float, Field(ge=0, le=1)] = 0.25
    cost_per_account: Annotated[float, Field(ge=0)] = 0.0


def read_config(path: Path | None, /, **given: object) -> TrainConfig:
    """The settings in a TOML file, overridden by what is given (None: not given).

    Raises
    ------
    BadRequest
        If the file cannot be read, or a setting is unknown or out of bounds.
    """
    values: dict[str, object] = {}
    if path is not None:
        try:
            values = parse_toml(read_toml_text(path))
        except (OSError, TomlError) as error:
            raise BadRequest(f"{path} cannot be read as TOML ({error})", "a file of training settings") from None
    values |= {name: value for name, value in given.items() if value is not None}
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise BadRequest(
            f"the training setting {key}: {first['msg']}", "one of " + ", ".join(TrainConfig.model_fields)
        ) from None
