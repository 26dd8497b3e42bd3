"""The proof before the swap: every row of the ghost is what the original's row becomes, and there is no other."""
