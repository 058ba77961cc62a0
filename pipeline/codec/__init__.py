"""Bytes to records, and verdicts, anomalies and dead letters to bytes; pure."""
