"""The WSGI application that gunicorn serves."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "telltale.settings")
_django = get_wsgi_application()

from traces.ingest.shed import Shed  # noqa: E402 - it reads settings, which must be configured

application = Shed(_django)
