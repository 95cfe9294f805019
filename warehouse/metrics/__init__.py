"""Metric definitions as data, each with a worked example."""
