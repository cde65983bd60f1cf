"""The WSGI application that gunicorn serves."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "telltale.settings")
django_application = get_wsgi_application()

from traces.ingest.shed import shed  # noqa: E402 - it reads settings, which must be configured

application = shed(django_application)
