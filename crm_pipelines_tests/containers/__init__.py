"""The real Dockerfile and the real docker-compose.yml on a Docker that runs: `make containers`."""
