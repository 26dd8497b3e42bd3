"""What survives a crash: the state table beside the original, the run's epoch, and the checkpoint."""
