"""Datasets: labels, time splits and design matrices."""
