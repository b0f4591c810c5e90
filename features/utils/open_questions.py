"""Figures of a mapping with open questions are uncertain: one sentence for commands, pages and documents."""

from __future__ import annotations

from collections.abc import Sequence

from features.utils.formatting import count_of


def uncertainty(questions: Sequence[str]) -> str | None:
    """Return that figures are uncertain because a mapping has open questions; None without any.

    Parameters
    ----------
    questions : the open questions of the mapping.

    Examples
    --------
    >>> uncertainty(["subscriptions.arr: is the price for one seat or for all?"])
    'figures are uncertain: the mapping of the signals has 1 open question; renewcast check lists it'
    >>> uncertainty([]) is None
    True
    """
    if not questions:
        return None
    them = "it" if len(questions) == 1 else "them"
    asked = count_of(len(questions), "open question")
    return f"figures are uncertain: the mapping of the signals has {asked}; renewcast check lists {them}"
