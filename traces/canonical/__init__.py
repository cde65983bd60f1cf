"""What every dialect becomes: types, and the rules that map vocabularies onto them."""

from traces.canonical.features import apply_feature_rules

__all__ = ["apply_feature_rules"]
