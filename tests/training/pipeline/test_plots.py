"""Plots of an evaluated model can be drawn, and drawing twice gives the same picture."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np

from features.catalogue.catalogue import CATALOGUE
from training.evaluation.baselines import BASE_RATE, BLEND
from training.evaluation.capacity_value import capacity_value
from training.evaluation.test_predictions import ScoredTestRows
from training.pipeline.plots import plot_arr_at_capacity, plot_beeswarm, plot_dimensions, plot_gain, plot_reliability


def test_drawing_twice_gives_the_same_picture(evaluation_rows: Callable[..., ScoredTestRows]) -> None:
    rng = np.random.default_rng(0)
    y = evaluation_rows().y
    p = np.clip(0.1 + 0.3 * y + 0.4 * rng.random(len(y)), 0, 1)
    data = evaluation_rows(**{BASE_RATE: np.full(len(y), 0.2), "logistic_regression": p**1.2, BLEND: p})
    names = tuple(list(CATALOGUE)[::9])
    matrix = rng.normal(size=(60, len(names)))

    def plots() -> list[bytes]:
        figures = [
            plot_reliability("churn", data),
            plot_gain("churn", data),
            plot_arr_at_capacity("churn", capacity_value(data, 10, 0.5, 0.0)),
            plot_beeswarm("churn", 0.1 * matrix, matrix, names, CATALOGUE),
            plot_dimensions("churn", 0.1 * matrix, names, CATALOGUE),
        ]
        files = [BytesIO() for _ in figures]
        for figure, file in zip(figures, files, strict=True):
            figure.savefig(file, format="png")
        return [file.getvalue() for file in files]

    once = plots()
    assert all(len(picture) > 5_000 for picture in once)
    assert once == plots()
