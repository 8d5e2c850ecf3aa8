"""`python -m crm_pipelines.sandbox.n8n --port N [--state FILE]`."""

from crm_pipelines.sandbox.core.program import program
from crm_pipelines.sandbox.n8n.server import serve

main = program("n8n", serve)

if __name__ == "__main__":
    main()
