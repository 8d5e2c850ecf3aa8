"""What every CRM module promises, as tests that know no CRM: docs/conformance.md."""
