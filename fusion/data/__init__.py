"""Data sets with their axes, mask and noise; several of them on one scan; reference spectra."""
