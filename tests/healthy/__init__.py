"""A default installation that nothing is wrong with, watched by Prometheus: no alert may be raised."""
