"""Company news: funding, hiring, layoffs, acquisitions and new departments."""

from __future__ import annotations

from typing import Any

from features.definitions.aggregations import Count, Rows
from features.definitions.feature import Chance, Direction, Family, Feature
from features.definitions.windows import HALF_YEAR

_feature = Family("company", "commercial")


def _news(kind: str, name: str, words: str, direction: Direction, chance: Chance) -> Feature:
    def pick(rows: Rows) -> Any:
        return rows.kind == kind

    measure = Count("company", kind, where=pick, counts=(("kind", (kind,)),))
    return _feature(
        f"{name}_182d", measure.over(HALF_YEAR), words, "events", f"{words} in the last half-year",
        direction=direction, chance=chance,
    )


FEATURES: tuple[Feature, ...] = (
    _news("funding", "funding", "funding rounds", "lowers_risk", "raises_chance"),
    _news("hiring", "hiring", "hiring announcements", "lowers_risk", "raises_chance"),
    _news("layoffs", "layoffs", "layoffs", "raises_risk", "lowers_chance"),
    _news("acquisition", "acquisitions", "acquisitions", None, None),
    _news("new_department", "new_departments", "new departments", "lowers_risk", "raises_chance"),
)
