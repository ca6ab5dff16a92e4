"""`mayfly new`: the files that a new connector begins with."""
