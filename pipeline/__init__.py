"""Everything that touches the world: sources, sinks, the engine that drives the detectors, and the command line."""
