"""Programs of others that do a part of the same work, measured beside Mayfly.

Each is a command in a process of its own, one after the other. Its work is checked after its time.
"""
