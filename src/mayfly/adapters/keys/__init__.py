"""Who wraps keys, and where wrapped keys are kept."""
