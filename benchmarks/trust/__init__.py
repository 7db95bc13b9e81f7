"""Where answers could be wrong in silence: drawn data, models and calls, interrupts, kills."""
