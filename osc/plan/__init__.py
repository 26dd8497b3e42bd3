"""Before anything changes: reading the `ALTER`, mapping columns, and judging whether the migration may start."""
