"""Parts of the work tell their share of the whole."""

from __future__ import annotations

import pytest

from features.utils.progress import part_of


def test_parts_of_the_work_follow_each_other() -> None:
    told: list[tuple[float, str]] = []
    whole = lambda share, what: told.append((share, what))  # noqa: E731
    for start, end in ((0.0, 0.4), (0.4, 1.0)):
        for share in (0.0, 0.5, 1.0):
            part_of(whole, start, end)(share, "looking")
    assert [share for share, _ in told] == pytest.approx([0.0, 0.2, 0.4, 0.4, 0.7, 1.0])
    assert {what for _, what in told} == {"looking"}
