"""Benchmarks: both sides measured in one process, in turn, and printed as ratios; `make bench` runs them all."""
