"""Keeping the ghost true while the original changes: the pending set, the watermarks, the barrier, applying."""
