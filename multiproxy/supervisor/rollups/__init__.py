"""Finished exchanges added up as they end: pure sums, bins and histograms, no clock, no loop."""
