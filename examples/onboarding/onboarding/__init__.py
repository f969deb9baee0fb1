"""Welcoming a new customer."""
