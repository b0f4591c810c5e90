"""Per-renewal models: rows at fixed leads before each renewal, and their judgement and fit."""
