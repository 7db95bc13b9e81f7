"""What a fit gives back: the result, what it leaves of the data, how answers compare."""
