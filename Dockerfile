# One image for web, worker and the one-shot migration. Everything installed is pinned by hash.
FROM python:3.13-slim AS build
WORKDIR /srv/telltale
COPY requirements/build.txt requirements/run.txt requirements/
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --require-hashes --only-binary :all: \
        -r requirements/build.txt -r requirements/run.txt
COPY . .
RUN /opt/venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation --editable . --editable sdk/python \
    && python -m compileall -q platform traces evals alerts

FROM python:3.13-slim
RUN groupadd --gid 10001 telltale \
    && useradd --uid 10001 --gid telltale --no-create-home --shell /usr/sbin/nologin telltale \
    && install -d -o telltale -g telltale /var/lib/telltale
COPY --from=build /opt/venv /opt/venv
COPY --from=build /srv/telltale /srv/telltale
WORKDIR /srv/telltale
ENV PATH=/opt/venv/bin:$PATH \
    OPENBLAS_NUM_THREADS=1 \
    MALLOC_ARENA_MAX=2 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=telltale.settings \
    TELLTALE_HOME=/var/lib/telltale \
    TELLTALE_BIND=0.0.0.0
USER telltale
EXPOSE 8000
CMD ["gunicorn", "--config", "platform/telltale/run/gunicorn_conf.py", "telltale.wsgi"]
