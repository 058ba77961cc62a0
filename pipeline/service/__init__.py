"""The live service: partitions of topics through the engine, their outputs and offsets committed as one."""
