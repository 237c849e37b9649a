# One image for the webserver, the daemon, the code location and runs.
#   docker build -t twin-assets .
#   docker run -p 127.0.0.1:3000:3000 -v twin-home:/home/twin/.twin twin-assets
ARG BASE=python:3.11-slim
FROM ${BASE} AS build
WORKDIR /build
COPY requirements.lock requirements-dev.lock pyproject.toml README.md ./
# With the driver for a historian in PostgreSQL, at the version that the tests have.
RUN python3 -m venv /opt/twin \
    && /opt/twin/bin/pip install --no-cache-dir -r requirements.lock -c requirements-dev.lock "psycopg[binary]"
COPY twin_assets twin_assets
RUN /opt/twin/bin/pip install --no-cache-dir --no-deps .

FROM ${BASE}
RUN useradd --create-home --uid 10001 twin
COPY --from=build /opt/twin /opt/twin
WORKDIR /home/twin
COPY --chown=twin twins twins
COPY --chown=twin workspace.yaml workspace.yaml
USER twin
ENV PATH=/opt/twin/bin:$PATH TWIN_HOME=/home/twin/.twin DAGSTER_HOME=/home/twin/.twin/dagster
RUN mkdir -p .twin/dagster
VOLUME /home/twin/.twin
EXPOSE 3000
CMD ["dagster", "dev", "-w", "workspace.yaml", "-h", "0.0.0.0", "-p", "3000"]
