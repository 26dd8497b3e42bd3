"""Comparisons with the server's own ALTER and with peers: `python -m bench`."""
