"""The checks of preflight, a module for each concern. Each takes what it looks at and returns findings; none writes."""
