"""What a running migration tells: rates and ETA, and the renderers (live terminal, plain lines, JSON lines)."""
