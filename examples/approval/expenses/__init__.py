"""Expenses that somebody has to approve, with reminders and escalation."""
