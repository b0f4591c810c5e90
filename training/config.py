"""Settings of a training run, read from a TOML file that is recorded with the run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from features.errors import BadRequest
from features.utils.toml_text import TomlError, parse_toml, read_toml_text
from features.utils.validation_errors import first_validation_error
from models.health.rubric_names import DEFAULT_RUBRIC


class TrainConfig(BaseModel):
    """Settings of a training run. The defaults suit most portfolios.

    Parameters
    ----------
    horizon_days : H, the main prediction horizon in days. Models are evaluated at it, and probabilities refer to it
        unless another horizon is given.
    horizons : further horizons, in days, that the same model predicts. Order businesses have none: for them, which
        accounts are active depends on H.
    grace_days : G, the days after an end within which a new subscription counts as a renewal; 0 for order businesses.
    every_days : step of the snapshot grid in days.
    snapshots : maximum number of rows (accounts times dates), approximately. If there would be more, the step of the
        grid becomes a multiple of ``every_days``, up to a quarter of a year. The default fits into 24 GB of memory.
    history_days : how far back the snapshots reach at most.
    warmup_days : days between the start of the data (the first subscription, and the start of half of the feeds) and
        the first snapshot.
    trials : trials of the search for LightGBM's settings.
    resamples : account bootstrap resamples for each interval of the evaluation.
    folds : account folds of the ensemble, and its members.
    seed : seed of every random number.
    threads : threads for LightGBM, 0 for all. Does not change the result. On portfolios of this size, and next to other
        processes, one thread is fastest.
    rubric : health score rubric to compare with and to ship.
    capacity : accounts that the team can look after per date, used to value a ranking.
    save_rate : share of the accounts reached in time that are saved, or won; an assumption until measured on a holdout
        group.
    cost_per_account : cost of looking after one account, in the source's currency.
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
    folds: Annotated[int, Field(ge=2, le=20)] = 5
    seed: int = 0
    threads: Annotated[int, Field(ge=0)] = 1
    rubric: str = DEFAULT_RUBRIC
    capacity: Annotated[int, Field(ge=1)] = 20
    save_rate: Annotated[float, Field(ge=0, le=1)] = 0.25
    cost_per_account: Annotated[float, Field(ge=0)] = 0.0


def read_config(path: Path | None, /, **overrides: object) -> TrainConfig:
    """Read training settings from a TOML file.

    Parameters
    ----------
    path : the file; None for the defaults.
    **overrides : settings that replace those of the file; None leaves a setting unchanged.

    Returns
    -------
    TrainConfig

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
    values |= {name: value for name, value in overrides.items() if value is not None}
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        raise BadRequest(
            first_validation_error(error, "training setting"), "one of " + ", ".join(TrainConfig.model_fields)
        ) from None
