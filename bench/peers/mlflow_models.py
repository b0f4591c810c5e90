"""The model as MLflow serves it: alone, and with SHAP for each row. Writes both and their input into a folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import lightgbm
import mlflow
import mlflow.pyfunc
import numpy as np
import pandas as pd
import shap


class Explained(mlflow.pyfunc.PythonModel):
    """A model that returns probability and contributions of each row."""

    def load_context(self, context: Any) -> None:
        """Read the model once."""
        self.booster = lightgbm.Booster(model_file=context.artifacts["model"])
        self.explainer = shap.TreeExplainer(self.booster)

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:
        """Predict the rows."""
        x = model_input.to_numpy(dtype=np.float64)
        values = self.explainer.shap_values(x)
        values = values[1] if isinstance(values, list) else values
        contributions = pd.DataFrame(np.asarray(values), columns=self.booster.feature_name())
        return contributions.assign(probability=self.booster.predict(x, num_threads=1))


def main(model: str, out: Path) -> None:
    booster = lightgbm.Booster(model_file=model)
    mlflow.lightgbm.save_model(booster, out / "plain")
    mlflow.pyfunc.save_model(out / "explained", python_model=Explained(), artifacts={"model": model})


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
