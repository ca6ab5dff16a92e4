"""Values and their rules: standard library and Arrow types only."""
