"""Parts of the work report their share of the whole."""

from __future__ import annotations

import pytest

from features.utils.progress import subprogress


def test_parts_of_the_work_follow_each_other() -> None:
    reports: list[tuple[float, str]] = []
    whole = lambda share, what: reports.append((share, what))  # noqa: E731
    for start, end in ((0.0, 0.4), (0.4, 1.0)):
        for share in (0.0, 0.5, 1.0):
            subprogress(whole, start, end)(share, "looking")
    assert [share for share, _ in reports] == pytest.approx([0.0, 0.2, 0.4, 0.4, 0.7, 1.0])
    assert {what for _, what in reports} == {"looking"}
