"""How far an answer can be trusted: standard errors, and other answers that fit as well."""
