"""A simulated portfolio in the contract's tables, with the true probabilities against which a model can be held."""

from training.simulation.portfolio import SimulationSummary, simulate

__all__ = ["SimulationSummary", "simulate"]
