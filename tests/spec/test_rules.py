"""Every spec of the rules holds, and the page that shows them is up to date."""

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


def test_the_page_shows_the_rules_as_they_are(rules: ModuleType, render: ModuleType) -> None:
    wanted = render.rules_page(rules.read_topics(), rules.HOW_TO_READ)
    checked_in = render.RULES_PAGE.read_text(encoding="utf-8") if render.RULES_PAGE.exists() else ""
    same = checked_in == wanted
    assert same, f"{render.RULES_PAGE.name} is not what the specs say; write it anew with `{render.REGENERATE}`"


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
