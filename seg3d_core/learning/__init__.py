"""Losses, matching and metrics."""
