from django.apps import AppConfig


class ProjectsConfig(AppConfig):
    name = "telltale.projects"
    label = "projects"
