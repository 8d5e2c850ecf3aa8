"""`python -m crm_pipelines.sandbox.hubspot --port N [--state FILE]`."""

from crm_pipelines.sandbox.core.program import program
from crm_pipelines.sandbox.hubspot.server import serve

main = program("HubSpot", serve)

if __name__ == "__main__":
    main()
