import numpy as np
import pytest

from models.peer_groups.segments import segment_of


@pytest.mark.parametrize(
    ("arr", "segment"),
    [
        (0.0, "self-serve"),
        (4_999.0, "self-serve"),
        (5_000.0, "self-serve"),
        (5_000.01, "SMB"),
        (25_000.0, "SMB"),
        (25_001.0, "mid-market"),
        (100_000.0, "mid-market"),
        (100_001.0, "enterprise"),
        (np.nan, None),
    ],
)
def test_each_bound_belongs_to_the_smaller_segment(arr: float, segment: str | None) -> None:
    assert segment_of([arr])[0] == segment


def test_an_unknown_arr_does_not_affect_other_accounts() -> None:
    assert segment_of([np.nan, 6_000.0]).tolist() == [None, "SMB"]
