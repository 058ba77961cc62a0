"""Long runs that look at what a process takes as time goes by."""
