"""Account attributes: industry, region and company size."""

from __future__ import annotations

from features.definitions.aggregations import from_column
from features.definitions.feature import Family, Feature

_feature = Family("accounts", "commercial", "account")

FEATURES: tuple[Feature, ...] = (
    _feature.category("industry", "industry", "industry", "industry"),
    _feature.category("region", "region", "region", "region"),
    _feature("employees", from_column("employees"), "company size", "employees", "number of employees"),
)
