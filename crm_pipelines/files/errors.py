from crm_pipelines.errors import CrmPipelinesError


class ImportRefused(CrmPipelinesError):
    """The file cannot be imported."""
