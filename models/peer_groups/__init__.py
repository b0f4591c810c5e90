"""Peer groups: segments, comparable accounts and percentiles among them."""
