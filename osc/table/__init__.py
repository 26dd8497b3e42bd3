"""What a table is: its columns, keys and names, and how its ghost is made."""
