"""Small worlds that several tests look at."""

from __future__ import annotations

import pytest

from training.review.worlds import World, world

IN_FORCE = {"usage": 30.0, "engagement": 25.0, "support": 15.0, "outcomes": 20.0, "relationship": 10.0}
OTHER = {"usage": 10.0, "engagement": 15.0, "support": 40.0, "outcomes": 10.0, "relationship": 25.0}


@pytest.fixture(scope="session")
def wrong() -> World:
    """The weights in force are far from the true ones."""
    return world(OTHER, IN_FORCE, 1_000, 3, every_weeks=13)


@pytest.fixture(scope="session")
def few() -> World:
    """The same with forty churns."""
    return world(OTHER, IN_FORCE, 40, 3, every_weeks=8)
