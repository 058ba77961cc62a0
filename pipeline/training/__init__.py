"""Fitting a network on a user's own history: from what an engine said of it to new weights."""
