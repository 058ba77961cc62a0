"""The campaign of a fleet that changes for good: what learning while it runs is worth, and that it loses nothing."""
