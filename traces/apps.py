from django.apps import AppConfig


class TracesConfig(AppConfig):
    name = "traces"
    label = "traces"

    def ready(self) -> None:
        """Bring the column of signals to the list of traces."""
        from traces import extras
        from traces.pages import signal_columns

        extras.add_column(signal_columns.OF_TRACES)
