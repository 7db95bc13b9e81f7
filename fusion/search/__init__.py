"""`fit`: where to start, a first look at a part of the data, moves between minima, the end."""
