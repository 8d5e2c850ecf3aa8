"""What is checked of the image."""

import json
import re

from crm_pipelines_tests.containers.stack import IMAGE, Stack


def the_image_for_several_machines_is_built(stack: Stack) -> str:
    """With the packages of docs/scaling.md; the next check builds the other one."""
    stack.run("docker", "compose", "build", "--build-arg", "LOCK=cluster")
    imports = "import dagster_celery, dagster_k8s; print(dagster_celery.__version__, dagster_k8s.__version__)"
    versions = stack.run("docker", "run", "--rm", IMAGE, "python", "-c", imports).stdout.split()
    return f"dagster_celery {versions[-2]} and dagster_k8s {versions[-1]} are imported"


def the_image_is_built(stack: Stack) -> str:
    """The real Dockerfile; behind certificates of this machine's own, in the documented way."""
    stack.run("docker", "compose", "build")
    size = int(stack.run("docker", "image", "inspect", "--format", "{{.Size}}", IMAGE).stdout)
    return f"{size / 1e6:.0f} MB"


def it_holds_neither_secrets_nor_what_only_builds(stack: Stack) -> str:
    history = stack.run("docker", "history", "--no-trunc", "--format", "{{.CreatedBy}}", IMAGE).stdout
    [image] = json.loads(stack.run("docker", "image", "inspect", IMAGE).stdout)
    shown = history + json.dumps(image["Config"])
    for value in stack.settings.values():
        assert len(value) < 8 or value not in shown, "a value of .env is in the image"
    assert not re.search(r"(?i)(password|api_key|token)=", shown), shown
    look = (
        "ls -A /root/.cache /run/secrets /etc/pip.conf 2>/dev/null; command -v gcc cc make git; "
        "ls /opt/venv/bin | grep -E '^(pip|flit)'; "
        "find / -xdev \\( -name .env -o -name '*.pem' -o -name '.git' \\) "
        "! -path '/etc/ssl/*' ! -name cacert.pem ! -path '/usr/*' ! -name roots.pem; true"
    )
    found = stack.run("docker", "run", "--rm", "--user", "0", "--entrypoint", "sh", IMAGE, "-c", look).stdout
    assert not found.strip(), found
    return f"user {image['Config']['User']}"
