"""What control can set."""

from typing import Literal

from pydantic import Field

from crm_pipelines.sandbox.core.config import CoreConfig

Answers = Literal["respond", "last_node", "all_items", "started", "no_content", "nothing"]


class SandboxConfig(CoreConfig):
    """The sandbox's behaviour.

    | answers | what n8n calls it | what comes |
    | --- | --- | --- |
    | respond | a Respond to Webhook node | `{"ok": true, "id": …}` |
    | last_node | when the last node finishes | the contact as the workflow has stored it |
    | all_items | the same, all entries | a list with that |
    | started | immediately | `{"message": "Workflow was started"}`, whatever becomes of it |
    | no_content | a Respond to Webhook node with the code 204 | nothing |
    | nothing | a Respond to Webhook node that is not reached | 200 and nothing |
    """

    answers: Answers = Field("respond", description="When and with what the webhook answers.")
    methods: list[str] = Field(["POST"], description="For which the workflow is registered; none: it is not published.")
    listening: bool = Field(default=False, description="The test address takes the next request.")
    allowed_address: bool = Field(default=True, description="Requests come from an address that the node allows.")
    verify: bool = Field(default=True, description="The workflow refuses whoever has signed wrongly.")
    refused: dict[str, str] = Field({}, description="By address: the workflow refuses the contact in these words.")
    failing: list[str] = Field([], description="Addresses with which a node of the workflow fails.")
