"""What a user writes with: factors, models, terms, losses."""
