"""`python -m bench`: the comparison with the server's own ALTER, and with gh-ost where it is on the PATH."""

from __future__ import annotations

from bench.baseline import main

if __name__ == "__main__":
    main()
