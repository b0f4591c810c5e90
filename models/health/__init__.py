"""The rule-based health score: rubrics, their versions, and the score's calibration."""
