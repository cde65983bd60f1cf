from django.apps import AppConfig


class EvalsConfig(AppConfig):
    name = "evals"
    label = "evals"

    def ready(self) -> None:
        """Bring scores to the pages of traces."""
        from evals.pages import scores
        from evals.read import score_terms
        from traces import extras

        for field in score_terms.FIELDS:
            extras.add_field(field)
        for column in scores.COLUMNS:
            extras.add_column(column)
        extras.add_columns(scores.FAMILY)
        extras.trace_parts.append(scores.trace_part)
        extras.span_parts.append(scores.span_part)
        extras.session_parts.append(scores.session_part)
