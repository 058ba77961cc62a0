"""The live page and the JSON API of the service: read-only, and never in the way of the loop."""
