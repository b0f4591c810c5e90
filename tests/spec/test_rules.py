"""The results of the rules equal those of the specs."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest


def test_rules_give_the_results_of_the_spec(rules: ModuleType, rule_case: Any) -> None:
    expected = [{"account_id": rules.ACCOUNT} | row for row in rule_case.expected.dicts()]
    columns = {column for row in expected for column in row}
    result = rule_case.results()
    results = [{name: value for name, value in row.items() if name in columns} for row in result]
    assert len(results) == len(expected), f"{rule_case.prose}\nfound {results}"
    for actual, row in zip(results, expected, strict=True):
        wrong = [f"{name} is {actual.get(name)}, expected {value}" for name, value in row.items() if not rules.same(actual.get(name), value)]
        assert not wrong, f"{rule_case.prose}\n{row}\n" + "\n".join(wrong)


@pytest.mark.parametrize(
    "text",
    [
        "no title\n\n## C\n\nP.\n\n```health\nscore\n-----\n1\n```\n",
        "# T\n\n## C\n\n```health\nscore\n-----\n1\n```\n",
        "# T\n\n## C\n\nP.\n\n```unknown\nscore\n-----\n1\n```\n",
        "# T\n\n## C\n\nP.\n\n```features\nfeature | value\n--------+------\na | 1\n```\n",
        "# T\n\n## C\n\nP.\n\n```health\nscore | band\n------+-----\n1\n```\n",
    ],
)
def test_a_spec_with_a_mistake_is_refused(rules: ModuleType, text: str) -> None:
    with pytest.raises(rules.SpecError):
        rules.read_topic("t", text)
