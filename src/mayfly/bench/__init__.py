"""Measurements: Mayfly, a naive loop and the floor, in one run, as ratios."""
