"""What every CRM module promises, as tests that know no CRM: docs/conformance.md."""

import pytest

pytest.register_assert_rewrite(f"{__name__}.bench", f"{__name__}.client")
