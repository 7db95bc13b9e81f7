"""Time, memory and loss of this software and of others on the same problems: see README.md."""
