"""Per-renewal models, their judgement and fit, and the backtest of renewal forecasts."""
