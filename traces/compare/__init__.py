"""Two things side by side: trees step by step, texts word by word. Pure, and bounded whatever is compared."""

from traces.compare.align import Aligned, align, pair_up
from traces.compare.words import Effort, Piece, compare_texts

__all__ = ["Aligned", "Effort", "Piece", "align", "compare_texts", "pair_up"]
