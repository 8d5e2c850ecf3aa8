"""`python -m crm_pipelines.sandbox.mautic --port N [--state FILE]`."""

from crm_pipelines.sandbox.core.program import program
from crm_pipelines.sandbox.mautic.server import serve

main = program("Mautic", serve)

if __name__ == "__main__":
    main()
