"""Aggregation: rows rolled up into time buckets, and buckets into features at many dates."""
