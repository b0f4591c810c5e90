"""Recurring revenue: ARR by account and date, and its movements."""
