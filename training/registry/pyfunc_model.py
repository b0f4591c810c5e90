"""The registered MLflow model: logged as code, together with the bundle and the scorer.

MLflow executes this file wherever the model is loaded; Renewcast does not need to be installed there. The scorer is an
artifact and is imported under a unique name, so that two versions can be loaded in one process.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc.model import PythonModel


def _load(folder: str) -> ModuleType:
    """Import the scorer's package under a unique name."""
    sources = sorted(Path(folder).glob("*.py"))
    content = b"".join(path.name.encode() + path.read_bytes() for path in sources)
    name = "renewcast_scorer_" + hashlib.sha256(content).hexdigest()[:16]
    if name not in sys.modules:
        start = Path(folder) / "__init__.py"
        spec = importlib.util.spec_from_file_location(name, start, submodule_search_locations=[folder])
        if spec is None or spec.loader is None:
            raise ImportError(f"{folder} is not a Python package")
        package = importlib.util.module_from_spec(spec)
        sys.modules[name] = package
        spec.loader.exec_module(package)
    return importlib.import_module(f"{name}.scorer")


class RenewcastModel(PythonModel):
    """Predict calibrated probabilities for snapshot rows."""

    def load_context(self, context: Any) -> None:
        """Load the scorer and the bundle that were logged with the model."""
        self.scorer = _load(context.artifacts["scorer"]).Scorer.load(context.artifacts["bundle"])

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return probability, low and high (0 to 1) for each row of ``model_input``, a snapshot's features."""
        prediction = self.scorer.predict(model_input)
        return pd.DataFrame({"probability": prediction.probability, "low": prediction.low, "high": prediction.high})


mlflow.models.set_model(RenewcastModel())
