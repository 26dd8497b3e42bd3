"""One server: connecting to it, what it is and can do, and how names and values are written for it."""
