from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "telltale.accounts"
    label = "accounts"
