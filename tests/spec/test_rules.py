"""Every spec of the rules holds."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest


def test_the_rule_holds(rules: ModuleType, rule_case: Any) -> None:
    expected = [{"account_id": rules.ACCOUNT} | row for row in rule_case.expected.dicts()]
    shown = {column for row in expected for column in row}
    found = rule_case.found()
    told = [{name: value for name, value in row.items() if name in shown} for row in found]
    assert len(told) == len(expected), f"{rule_case.prose}\nfound {told}"
    for got, row in zip(told, expected, strict=True):
        wrong = [f"{name} is {got.get(name)}, expected {value}" for name, value in row.items() if not rules.same(got.get(name), value)]
        assert not wrong, f"{rule_case.prose}\n{row}\n" + "\n".join(wrong)


@pytest.mark.parametrize(
    "text",
    [
        "no title\n\n## C\n\nP.\n\n```health\nscore\n-----\n1\n```\n",
        "# T\n\n## C\n\n```health\nscore\n-----\n1\n```\n",
        "# T\n\n## C\n\nP.\n\n```mood\nscore\n-----\n1\n```\n",
        "# T\n\n## C\n\nP.\n\n```features\nfeature | value\n--------+------\na | 1\n```\n",
        "# T\n\n## C\n\nP.\n\n```health\nscore | band\n------+-----\n1\n```\n",
    ],
)
def test_what_is_not_understood_is_refused(rules: ModuleType, text: str) -> None:
    with pytest.raises(rules.SpecError):
        rules.read_topic("t", text)
