# One image for everything; the command decides what it is: web (the default), a worker, beat, or manage.py.
FROM python:3.13-slim-trixie AS packages
WORKDIR /app
COPY requirements.lock .
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --only-binary=:all: -r requirements.lock

FROM python:3.13-slim-trixie
ARG COMMIT=""
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 HEADWAY_COMMIT=$COMMIT HEADWAY_HOME=/var/headway HEADWAY_LOG_FORMAT=json
RUN useradd --system --uid 10001 --home-dir /var/headway --create-home headway
WORKDIR /app
COPY --from=packages /venv /venv
COPY manage.py ./
COPY config config
COPY jobs jobs
COPY triggers triggers
COPY notifications notifications
COPY runs runs
COPY demo demo
COPY templates templates
COPY static static
RUN python -m compileall -q .
USER 10001
EXPOSE 8000
STOPSIGNAL SIGTERM
ENV HEADWAY_WEB_WORKERS=2
CMD ["gunicorn", "--config", "python:config.gunicorn", "config.wsgi"]
