"""A photo studio."""
