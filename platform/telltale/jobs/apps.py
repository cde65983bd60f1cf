from django.apps import AppConfig

from telltale.jobs.transport import register


class JobsConfig(AppConfig):
    name = "telltale.jobs"
    label = "jobs"

    def ready(self) -> None:
        """Make the embedded broker known to kombu."""
        register()
