# One image for every service of docker-compose.yml except Postgres. It holds no secret and no setting of a deployment.
FROM python:3.12-slim AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1
WORKDIR /build
RUN python -m venv /opt/venv
# Before the code, so that a change of code installs nothing anew.
COPY requirements/base.lock requirements/cluster.lock requirements/
# "cluster" adds what runs on several machines need: docs/scaling.md.
ARG LOCK=base
# For builds behind a proxy or an index of their own; both are optional, and nothing of them stays. docs/deployment.md
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.pem \
    /opt/venv/bin/pip install --require-hashes --only-binary :all: -r "requirements/$LOCK.lock"
COPY pyproject.toml README.md LICENSE ./
COPY crm_pipelines crm_pipelines
# Everything that it needs, the build back end among it, came with the lock file. What only installs stays behind.
RUN /opt/venv/bin/pip install --no-deps --no-index --no-build-isolation . \
    && /opt/venv/bin/pip uninstall --yes flit-core pip


FROM python:3.12-slim

# By number, so that an orchestrator can see that it is not root.
RUN groupadd --gid 10001 crm && useradd --uid 10001 --gid crm --no-create-home --home-dir /nonexistent crm
COPY --from=build /opt/venv /opt/venv
COPY dagster.yaml deploy/workspace.yaml /opt/dagster/home/
COPY deploy/migrate.py deploy/roles.sql /opt/dagster/
# A new named volume takes over the owner of the folder that it covers.
RUN install -d -o crm -g crm /opt/dagster/home/storage

ENV PATH=/opt/venv/bin:$PATH \
    DAGSTER_HOME=/opt/dagster/home \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /opt/dagster/home
# Dagster gives SIGTERM the handler of SIGINT: where an init leaves SIGINT ignored, its programs would never stop.
ENTRYPOINT ["env", "--default-signal"]
USER 10001:10001
CMD ["dagster", "api", "grpc", "-h", "0.0.0.0", "-p", "4000", "-m", "crm_pipelines.definitions"]
