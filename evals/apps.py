from django.apps import AppConfig


class EvalsConfig(AppConfig):
    name = "evals"
    label = "evals"

    def ready(self) -> None:
        """Bring scores and reviews to the pages of traces, and traces to review queues and datasets."""
        from evals import drawing, scoring
        from evals.pages import dataset_part, review_part, scores
        from evals.read import score_terms
        from evals.reviewing import filling
        from traces import extras, signalling

        for field in score_terms.FIELDS:
            extras.add_field(field)
        for column in scores.COLUMNS:
            extras.add_column(column)
        extras.add_columns(scores.FAMILY)
        extras.trace_parts.append(scores.trace_part)
        extras.trace_parts.append(review_part.trace_part)
        extras.trace_parts.append(dataset_part.trace_part)
        extras.list_actions.append(dataset_part.list_action)
        extras.span_parts.append(scores.span_part)
        extras.session_parts.append(scores.session_part)
        # What events on spans and in log records say of answers is a score.
        drawing.also(scoring.take_evaluations)
        # Random samples and errors come into review queues as traces are decided on.
        drawing.also(filling.settle)
        # What end users told of traces draws them again, and brings them into queues.
        signalling.also(drawing.hear)
        signalling.also(filling.hear)
