"""What Dagster loads: one explicit Definitions. No network and no database at import."""

import dagster as dg

from crm_pipelines.orchestration.build import build_definitions
from crm_pipelines.settings import load_settings

defs: dg.Definitions = build_definitions(load_settings())
