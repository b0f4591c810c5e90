"""The portfolio table: one flat row per account, for a CRM or a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from pydantic import BaseModel

from models.predictions.assessment import Assessment
from models.predictions.columns import read_columns
from models.predictions.schema import Prediction


def portfolio_rows(assessment: Assessment, schema: type[BaseModel] = Prediction) -> pd.DataFrame:
    """Return one row per account, in their order, with the columns that the schema of an answer declares.

    Per target: status, probability, low and high (80% interval), risk_score, band, and the probability within each
    horizon that the model predicts; then the share of churn that is involuntary, whether an expansion is proposed, the
    health score, what the rules found, the texts of the churn model's reasons, and the models' versions. Unknown is
    null.
    """
    return pd.DataFrame(read_columns(assessment, schema))


def portfolio_columns(assessment: Assessment, names: Iterable[str]) -> pd.DataFrame:
    """Return some of the columns of `portfolio_rows`; the others are not computed."""
    return pd.DataFrame(read_columns(assessment, Prediction, names))
