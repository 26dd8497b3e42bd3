"""Copying rows that nobody changes: ranges of the migration key, handed out in order to several workers."""
