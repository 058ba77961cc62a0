"""How good a detector is: scores of labelled streams, as pure functions of arrays."""
