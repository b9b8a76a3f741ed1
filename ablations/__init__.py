"""Which runs make which table of the paper. `TABLES` is the only registry."""

from ablations.axis import Ablation, Row
from ablations.pairwise import PairwiseForm

TABLES: dict[str, type[Ablation]] = {"2a": PairwiseForm}

__all__ = ["TABLES", "Ablation", "PairwiseForm", "Row"]
