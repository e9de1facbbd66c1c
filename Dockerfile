# One image, several commands: serve (the default), migrate, account, client, demo.
FROM python:3.11-slim AS build
WORKDIR /srv
COPY requirements.txt pyproject.toml README.md ./
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --require-hashes -r requirements.txt
COPY app ./app
COPY graphql ./graphql
COPY manifest.json ./
RUN /venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation -e .

FROM python:3.11-slim
RUN useradd --system --home-dir /srv --shell /usr/sbin/nologin app && mkdir /data && chown app /data
COPY --from=build /venv /venv
COPY --from=build /srv /srv
WORKDIR /srv
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 DATA_DIR=/data LOG_FORMAT=json
USER app
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["vipps-recurring", "serve", "--host", "0.0.0.0", "--port", "8000"]
