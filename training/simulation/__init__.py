"""A simulated portfolio in the contract's tables, with the true probabilities against which a model can be held."""

from training.simulation.simulate import SimulationSummary, simulate

__all__ = ["SimulationSummary", "simulate"]
