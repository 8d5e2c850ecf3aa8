"""`python -m crm_pipelines` is `crm-pipelines`."""

from crm_pipelines.cli import main

if __name__ == "__main__":
    main()
