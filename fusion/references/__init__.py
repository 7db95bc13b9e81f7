"""Maps of known spectra by multiple linear least squares, and what the references leave."""
