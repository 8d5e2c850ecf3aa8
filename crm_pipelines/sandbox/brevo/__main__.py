"""`python -m crm_pipelines.sandbox.brevo --port N [--state FILE]`."""

from crm_pipelines.sandbox.brevo.server import serve
from crm_pipelines.sandbox.core.program import program

main = program("Brevo", serve)

if __name__ == "__main__":
    main()
