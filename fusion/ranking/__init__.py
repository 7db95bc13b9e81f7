"""How many components: criteria side by side, and what they recommend."""

from fusion.ranking.criterion import Criterion
from fusion.ranking.detectability import Detectability, detectability
from fusion.ranking.recommendation import Ranking, rank

__all__ = ["Criterion", "Detectability", "Ranking", "detectability", "rank"]
