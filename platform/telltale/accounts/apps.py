from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "telltale.accounts"
    label = "accounts"

    def ready(self) -> None:
        """Connect what is written down about sign-ins."""
        import telltale.accounts.signals  # noqa: F401
