"""Searching the settings of the detector on a user's own history: split, trials, held-out results.

Every trial runs the engine of a replay over recorded streams; `search` alone knows optuna.
"""
