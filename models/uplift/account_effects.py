"""Effects of plays per account, as plain data: linear models that `renewcast holdout effect` fits and stores.

A model states the reduction of the churn probability as a linear function of what is known of an account: its churn
probability and the logarithm of its ARR. It is used only if validation on accounts that it was not fitted on supports
that accounts differ. Its differences from the average effect are shrunk by the slope of that validation.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from features.utils.arrays import Floats
from features.utils.atomic_files import write_file
from models.json_files import read_json_file

FORMAT: Literal[1] = 1
Number = Annotated[float, Field(allow_inf_nan=False)]
Pair = tuple[Number, Number]
ESTIMATE_AGAIN = "run `renewcast holdout effect` again, or delete the file"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EffectGroup(_Part):
    """Accounts with similar predicted effects: the mean prediction, and the measured reduction with its interval."""

    accounts: int
    predicted: Number
    observed: Number
    interval: Pair


class AccountEffectModel(_Part):
    """The effect of one play (None: of all plays) per account.

    Parameters
    ----------
    accounts, held_out_accounts : of the trial.
    average : the average reduction of the churn probability, and its 95% interval.
    means, coefficients, lows, highs : of the churn probability and of the logarithm of 1 + ARR. Values below the lowest
        or above the highest ones of the trial are moved to them.
    slope, slope_interval : by how much the measured reduction rises with the predicted one, on accounts on which the
        model was not fitted. 1 is perfect; 0 is no support.
    qini, qini_interval : the additional churn prevented per account by treating those with the largest predicted
        reductions first instead of a random order, averaged over all capacities.
    groups : thirds of the accounts by predicted reduction.
    supported : whether accounts differ measurably. If not, every account has the average save rate.
    shrinkage : the weight of differences from the average, 0 to 1.
    words : the result in words.
    """

    play: str | None
    accounts: int
    held_out_accounts: int
    average: Number
    average_interval: Pair
    means: Pair
    coefficients: Pair
    lows: Pair
    highs: Pair
    slope: Number
    slope_interval: Pair
    qini: Number
    qini_interval: Pair
    groups: tuple[EffectGroup, ...]
    supported: bool
    shrinkage: Annotated[float, Field(ge=0, le=1)]
    words: str

    def reduction(self, churn: Floats, arr: Floats) -> Floats:
        """Return the reduction of the churn probability of each account, 0 to the probability itself.

        Parameters
        ----------
        churn : churn probabilities, shape (n,); NaN is unknown.
        arr : the ARR, shape (n,).
        """
        values = np.column_stack([churn, np.log1p(np.maximum(arr, 0.0))])
        centered = np.clip(values, np.array(self.lows), np.array(self.highs)) - np.array(self.means)
        effect = self.average + self.shrinkage * (centered @ np.array(self.coefficients))
        return np.asarray(np.clip(effect, 0.0, churn), dtype=np.float64)


class EffectsFile(_Part):
    """The content of ``effects.json``: models of account effects from data known before ``as_of``."""

    format: Literal[1] = FORMAT
    as_of: datetime
    models: tuple[AccountEffectModel, ...] = ()

    def model_of(self, play: str | None) -> AccountEffectModel | None:
        """Return the supported model of a play; None if there is none."""
        return next((model for model in self.models if model.play == play and model.supported), None)


def read_effects(path: Path) -> EffectsFile | None:
    """Read the stored effects; None without a file.

    Raises
    ------
    HomeError : the file is not valid.
    """
    if not path.exists():
        return None
    return read_json_file(path, EffectsFile, f"account effects of format {FORMAT}", ESTIMATE_AGAIN, strict=True)


def write_effects(path: Path, effects: EffectsFile) -> None:
    """Replace the stored effects.

    Raises
    ------
    HomeError : the file cannot be written.
    """
    write_file(path, effects.model_dump_json(indent=1) + "\n")
