"""A thousand pictures, so many at a time."""
