"""The two things predicted, and the words that belong to each."""

from __future__ import annotations

from typing import Literal

Target = Literal["churn", "expansion"]
TARGETS: tuple[Target, ...] = ("churn", "expansion")

#: How far ahead both targets look, in days, where no model says otherwise.
DEFAULT_HORIZON_DAYS = 90

#: Which way is good for the target's risk score, as every answer says.
HIGHER_IS: dict[Target, str] = {"churn": "worse", "expansion": "better"}

#: What a positive and a negative contribution to the log-odds are called.
UP: dict[Target, str] = {"churn": "raises_risk", "expansion": "raises_chance"}
DOWN: dict[Target, str] = {"churn": "lowers_risk", "expansion": "lowers_chance"}
