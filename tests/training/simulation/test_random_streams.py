import numpy as np

from training.simulation.random_streams import mean_reverting_step, random_stream


def test_each_purpose_and_seed_has_its_own_random_numbers() -> None:
    draws = {(seed, name): random_stream(seed, name).random() for seed in (0, 1) for name in ("usage", "support")}
    assert len(set(draws.values())) == 4
    assert draws[0, "usage"] == random_stream(0, "usage").random()


def test_a_mean_reverting_state_has_its_half_life_and_spread() -> None:
    rng = random_stream(0, "a mood")
    still = np.array([3.0])
    for _ in range(10):
        still = mean_reverting_step(still, 1.0, 10, 0.0, rng)
    np.testing.assert_allclose(still, [2.0])
    moving = np.zeros(20_000)
    for _ in range(30):
        moving = mean_reverting_step(moving, 1.0, 4, 0.5, rng)
    assert abs(moving.mean() - 1.0) < 0.03
    assert abs(moving.std() - 0.5) < 0.02
