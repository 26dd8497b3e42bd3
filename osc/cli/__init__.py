"""The command line: one module per command, each with its options, its wiring and what the person sees."""
