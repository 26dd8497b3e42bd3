"""Comparisons with the server's own ALTER and with peers, each a command: `python -m bench.baseline`."""
