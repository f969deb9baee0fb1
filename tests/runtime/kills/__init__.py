"""Processes that are killed: what they run, what people do meanwhile, and the moments at which they die."""
