"""When to train anew: drift told from residuals, what was asked for, and what became of earlier trainings."""
