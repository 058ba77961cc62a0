"""Whether a challenger is better than the champion: both through the engine over the same held-out slice."""
