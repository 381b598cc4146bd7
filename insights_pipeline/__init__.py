"""Insights: what users ask our AI agents, and what changed."""

__version__ = "0.1.0"
