"""Shipped recipes, as YAML."""
