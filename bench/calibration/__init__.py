"""What `osc plan` foretells against what `osc migrate` then does."""
