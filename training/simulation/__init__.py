"""A simulated portfolio in the tables of the data contract, with true probabilities to evaluate models."""

from training.simulation.market_options import MarketOptions
from training.simulation.presets import PRESETS
from training.simulation.simulate import SimulationSummary, simulate, true_probabilities_of

__all__ = ["PRESETS", "MarketOptions", "SimulationSummary", "simulate", "true_probabilities_of"]
