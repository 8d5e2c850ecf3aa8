"""Documents that repeat what the code says are checked against it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_configuration_reference_and_the_example_say_what_the_settings_say() -> None:
    script = ROOT / "scripts" / "write_configuration.py"
    checked = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert checked.returncode == 0, checked.stderr
