"""The tree of a trace: pure, iterative, and whole however odd the parents are."""

from traces.tree.build import Note, Step, Tree, build_tree
from traces.tree.fold import Fold, Line, fold_tree
from traces.tree.scale import Bar, Scale, Tick, make_scale

__all__ = ["Bar", "Fold", "Line", "Note", "Scale", "Step", "Tick", "Tree", "build_tree", "fold_tree", "make_scale"]
