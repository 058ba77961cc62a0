"""What is shipped to run Driftline with, and what makes it."""
