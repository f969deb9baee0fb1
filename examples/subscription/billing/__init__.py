"""Subscriptions that live for years."""
