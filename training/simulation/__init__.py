"""A simulated portfolio in the tables of the data contract, with true probabilities to evaluate models."""

from training.simulation.simulate import SimulationSummary, simulate

__all__ = ["SimulationSummary", "simulate"]
