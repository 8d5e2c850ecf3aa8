"""One module per kind. A new kind joins KINDS, and is done when every case that it can pass passes."""

from collections.abc import Mapping

from crm_pipelines_tests.conformance.subject import Kind
from crm_pipelines_tests.conformance.subjects.brevo import brevo

KINDS: Mapping[str, Kind] = {"brevo": brevo}
