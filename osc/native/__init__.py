"""Changes that the server makes itself, without a copy: which way it offers, and carrying that out on the real table."""
