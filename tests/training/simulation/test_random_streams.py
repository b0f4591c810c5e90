import numpy as np

from training.simulation.random_streams import pull, stream


def test_a_purpose_has_its_own_numbers_for_each_seed() -> None:
    draws = {(seed, name): stream(seed, name).random() for seed in (0, 1) for name in ("usage", "support")}
    assert len(set(draws.values())) == 4
    assert draws[0, "usage"] == stream(0, "usage").random()


def test_a_mood_forgets_half_of_its_distance_in_a_half_life_and_keeps_its_spread() -> None:
    rng = stream(0, "a mood")
    still = np.array([3.0])
    for _ in range(10):
        still = pull(still, 1.0, 10, 0.0, rng)
    np.testing.assert_allclose(still, [2.0])
    moving = np.zeros(20_000)
    for _ in range(30):
        moving = pull(moving, 1.0, 4, 0.5, rng)
    assert abs(moving.mean() - 1.0) < 0.03
    assert abs(moving.std() - 0.5) < 0.02
