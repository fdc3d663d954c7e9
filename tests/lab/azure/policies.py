"""Policies that require tags of what is made: the one kind of Azure Policy that is known here.

The words of the refusal are those that people have quoted; nobody has recorded one.
"""

import json
from dataclasses import dataclass, field

from tests.lab.azure.replies import Call, Refused, arm_fault

_TAGGED = ("PUT vm", "PUT nic", "PATCH vm")


@dataclass(frozen=True, slots=True)
class Policy:
    """An assignment: what is made or changed by one of the calls `of` must have a tag."""

    name: str
    tag: str
    of: tuple[str, ...] = _TAGGED
    assignment: str = "tags-everywhere"


@dataclass(slots=True)
class Policies:
    """All that are assigned."""

    assigned: list[Policy] = field(default_factory=list)

    def require(self, tag: str, name: str = "Require a tag on resources", *of: str) -> None:
        """From now on."""
        self.assigned.append(Policy(name, tag, of or _TAGGED))

    def check(self, call: Call) -> None:
        """Passes when the call's body has every tag; else ARM's 403."""
        if call.method == "PATCH" and "tags" not in call.body:
            return
        tags = {name.lower() for name in call.body.get("tags") or {}}
        for policy in self.assigned:
            if call.names["of"] in policy.of and policy.tag.lower() not in tags:
                raise _disallowed(policy, call.path.rpartition("/")[2])


def _disallowed(policy: Policy, name: str) -> Refused:
    where = "/subscriptions/lab/providers/Microsoft.Authorization"
    definition = {"name": policy.name, "id": f"{where}/policyDefinitions/require-tag"}
    assignment = {
        "name": policy.assignment,
        "id": f"{where}/policyAssignments/{policy.assignment}",
    }
    found = json.dumps([{"policyAssignment": assignment, "policyDefinition": definition}])
    message = f"Resource '{name}' was disallowed by policy. Policy identifiers: '{found}'."
    refused = arm_fault(403, "RequestDisallowedByPolicy", message)
    info = {
        "policyDefinitionDisplayName": policy.name,
        "policyDefinitionEffect": "deny",
        "policyAssignmentName": policy.assignment,
        "policyAssignmentDisplayName": policy.assignment,
    }
    assert isinstance(refused.reply.body, dict)
    error = refused.reply.body["error"]
    error |= {"target": name, "additionalInfo": [{"type": "PolicyViolation", "info": info}]}
    return refused
