"""Helpers of the service that belong to no topic: settings, logs, threads, errors."""
