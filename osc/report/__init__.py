"""The plan of a migration: everything that is known before the start, gathered into one `Plan`, and shown in three forms."""
