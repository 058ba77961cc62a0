"""The trainer beside the service: what is due, training and judging it, and drift as the service tells it."""
