"""Settings of a design that are not numbers in range are a user's mistake, through every interface."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from features.errors import BadRequest
from serving.worklist.holdout import RANGES, require_range


@pytest.mark.parametrize("setting", RANGES)
@pytest.mark.parametrize("value", ["0.3", [1], True, Decimal("0.5"), float("nan"), float("inf"), -1, 10**400, -(10**400)])
def test_a_value_out_of_range_or_of_another_type_is_refused(setting: str, value: Any) -> None:
    with pytest.raises(BadRequest, match=rf"{setting} is .*\n.*a number from"):
        require_range(setting, value)


def test_only_the_rate_of_new_accounts_may_be_unknown() -> None:
    require_range("per_week", None)
    with pytest.raises(BadRequest, match="share is not a number"):
        require_range("share", None)
