"""`python -m osc`, for where the command itself is not on the path."""

from osc.cli.main import main

if __name__ == "__main__":
    main()
