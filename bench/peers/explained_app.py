"""The service that most teams would write: FastAPI, a LightGBM model, and SHAP for each request. Run by uvicorn."""

from __future__ import annotations

import os
from typing import Any

import lightgbm
import numpy as np
import shap
from fastapi import FastAPI

app = FastAPI()
booster = lightgbm.Booster(model_file=os.environ["MODEL"])
explainer = shap.TreeExplainer(booster)
names = booster.feature_name()


@app.get("/ping")
def ping() -> dict[str, str]:
    """Return that the service is alive."""
    return {"status": "ok"}


@app.post("/predict")
def predict(row: dict[str, float | None]) -> dict[str, Any]:
    """Return the probability of one row, and what each feature adds."""
    x = np.array([[np.nan if row.get(name) is None else row[name] for name in names]], dtype=np.float64)
    p = booster.predict(x, num_threads=1)
    values = explainer.shap_values(x)
    values = values[1] if isinstance(values, list) else values
    return {"probability": float(p[0]), "contributions": dict(zip(names, values[0].tolist(), strict=True))}
