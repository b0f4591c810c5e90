"""Shared helpers of the service: settings, logs, threads and errors."""
