"""What is checked of the way to the CRM."""

import shutil
from pathlib import Path
from typing import Any

import trustme
import yaml  # type: ignore[import-untyped]

from crm_pipelines_tests.containers.stack import IMAGE, SandboxInside, Stack, documented

_OUTSIDE = "crm-pipelines:outside"
"""The same image, of what is not updated with the stack."""
_CRM = "https://api.brevo.test/v3"
_AUTHORITY = trustme.CA()


def proxy_and_certificates_are_passed_on(stack: Stack) -> str:
    """From here on Brevo is behind a proxy that opens TLS with certificates that nobody else trusts."""
    stack.compose("rm", "--stop", "--force", "brevo-sandbox")
    _put_brevo_behind_a_proxy(stack)
    stack.up()
    stack.inside("code", "crm-pipelines", "provision", "brevo")
    sandbox = crm(stack)
    stack.add_contacts(1, "proxy")
    stack.wait_until_delivered(1, "proxy")
    assert len(sandbox.contacts()) == 1
    tunnels = stack.compose("logs", "proxy").count("CONNECT api.brevo.test:443")
    assert tunnels
    untrusting = stack.inside("code", "env", "-u", "REQUESTS_CA_BUNDLE", "crm-pipelines", "check", "brevo", check=False)
    assert untrusting.returncode, "without the certificates it must not be trusted"
    return f"{tunnels} tunnels"


def crm(stack: Stack) -> SandboxInside:
    return SandboxInside(stack, "brevo-behind-proxy")


def _put_brevo_behind_a_proxy(stack: Stack) -> None:
    """As docs/deployment.md says, with a proxy on the network of the stack; and slowly, for the checks in mid-run."""
    certificate = _AUTHORITY.issue_cert("api.brevo.test")
    _AUTHORITY.cert_pem.write_to_path(str(stack.folder / "ca.pem"))
    certificate.private_key_and_cert_chain_pem.write_to_path(str(stack.folder / "proxy.pem"))
    (stack.folder / "proxy.pem").chmod(0o644)
    shutil.copy(Path(__file__).with_name("relay.py"), stack.folder)
    [block] = documented("Proxies, and certificates of your own", "yaml")
    trusting = stack.folder / "trusting.yml"
    trusting.write_text(block.replace("./", f"{stack.folder}/"), encoding="utf-8")
    stack.run("docker", "tag", IMAGE, _OUTSIDE)
    bare = {"image": _OUTSIDE, "pull_policy": "never", "init": True, "read_only": True}
    relay = ["python", "/relay/relay.py", "/relay/proxy.pem", "/relay/proxy.pem"]
    volumes = [f"{stack.folder}/{name}:/relay/{name}:ro" for name in ("relay.py", "proxy.pem")]
    services: dict[str, Any] = {
        "proxy": {**bare, "command": relay, "volumes": volumes},
        "brevo-behind-proxy": {
            **bare,
            "command": ["crm-pipelines", "sandbox", "brevo"],
            "network_mode": "service:proxy",
            "tmpfs": ["/tmp:mode=1777"],
        },
    }
    behind = stack.folder / "behind.yml"
    behind.write_text(yaml.safe_dump({"services": services}), encoding="utf-8")
    stack.files += [trusting, behind]
    stack.settings.pop("COMPOSE_PROFILES")
    stack.settings |= {
        "BREVO_API_BASE_URL": _CRM,
        "BREVO_RATE_LIMIT_PER_SECOND": "1",
        "HTTPS_PROXY": "http://proxy:3128",
        "REQUESTS_CA_BUNDLE": "/etc/ca.pem",
        "SSL_CERT_FILE": "/etc/ca.pem",
    }
