from django.apps import AppConfig


class WebConfig(AppConfig):
    name = "telltale.web"
    label = "web"

    def ready(self) -> None:
        """Bind the Celery application, so that `shared_task` finds it in every process."""
        import telltale.celery  # noqa: F401
