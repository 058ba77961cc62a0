"""Pure computation: arrays in, arrays out. No clock, environment, file, socket or log."""
