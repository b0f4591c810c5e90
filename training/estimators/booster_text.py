"""Several boosters as one in LightGBM's text format, so that an ensemble is stored and scored as one booster."""

from __future__ import annotations

import re
from collections.abc import Sequence

_VALUES = re.compile(r"^(leaf_value|internal_value)=(.*)$", re.MULTILINE)
_END = "end of trees"


def merge_boosters(boosters: Sequence[tuple[str, float]]) -> str:
    """Return the text of a booster whose log-odds are the weighted sum of those of the given ones.

    Parameters
    ----------
    boosters : texts of binary boosters with the same columns, and the weight of each. The trees keep their order.

    Returns
    -------
    str
        In LightGBM's text format, with the header and the columns of the first booster.
    """
    blocks = []
    for text, weight in boosters:
        body = text.partition("\nTree=")[2].partition(f"\n{_END}")[0]
        blocks += [_scaled(block.partition("\n")[2], weight) for block in body.split("\nTree=")] if body else []
    trees = [f"Tree={number}\n{block.strip()}\n\n\n" for number, block in enumerate(blocks)]
    first = boosters[0][0]
    header, rest = first.partition("\nTree=")[0], first[first.index(_END) :]
    header = re.sub(r"\ntree_sizes=.*", "", header).rstrip("\n")
    sizes = " ".join(str(len(tree.encode())) for tree in trees)
    return f"{header}\ntree_sizes={sizes}\n\n{''.join(trees)}{rest}"


def _scaled(block: str, weight: float) -> str:
    def scale(match: re.Match[str]) -> str:
        return f"{match[1]}=" + " ".join(repr(weight * float(value)) for value in match[2].split())

    return _VALUES.sub(scale, block)
