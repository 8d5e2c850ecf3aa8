"""What the sandbox imitates beyond the obvious, and how sure that is."""

from crm_pipelines.sandbox.core.quirks import Quirk

_SOURCE = "n8n-io/n8n, packages/cli/src/webhooks"
_NODE = "n8n-io/n8n, nodes/Webhook"
_SEEN = "seen of n8n 2.41.1"

QUIRKS: tuple[Quirk, ...] = (
    Quirk("Header authentication: 403, Authorization data is wrong!, whether it is missing or wrong.", _SEEN, True),
    Quirk("An address that the node does not allow: 403, in plain text.", _NODE, True),
    Quirk(
        "Not published, another method, a path that nobody has: 404 with code, message, hint, stacktrace.", _SEEN, True
    ),
    Quirk("A test address answers 404 unless somebody listens, and once only.", _SEEN, True),
    Quirk("Answering at once hides what becomes of the execution.", _SEEN, True),
    Quirk("A node that fails: 500, Error in workflow, and nothing of the cause.", _SEEN, True),
    Quirk("An execution that is broken off: 500, There was a problem executing the workflow.", _SEEN, True),
    Quirk("A Respond to Webhook node that is not reached: 200 and nothing.", _SOURCE, True),
    Quirk("A body that is no JSON: 422, before the secret is looked at.", _SEEN, True),
    Quirk("OPTIONS with an Origin tells for which methods a workflow is registered, and runs none.", _SOURCE, True),
    Quirk("n8n looks at no idempotency key: each request is an execution.", _SOURCE, True),
    Quirk("The workflow itself: a table of contacts by address, which verifies signatures.", "ours", False),
)
