from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "telltale.audit"
    label = "audit"
