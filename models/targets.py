"""The two prediction targets, and the terms for each."""

from __future__ import annotations

from typing import Literal

Target = Literal["churn", "expansion"]
TARGETS: tuple[Target, ...] = ("churn", "expansion")

#: The default horizon of both targets in days.
DEFAULT_HORIZON_DAYS = 90

#: Whether a higher score of the target is better or worse; part of every prediction.
HIGHER_IS: dict[Target, str] = {"churn": "worse", "expansion": "better"}

#: Names of positive and negative contributions to the log-odds.
UP: dict[Target, str] = {"churn": "raises_risk", "expansion": "raises_chance"}
DOWN: dict[Target, str] = {"churn": "lowers_risk", "expansion": "lowers_chance"}
