"""One event in satpam's envelope, and the views of it that a platform may give instead (`--variant`)."""

import hashlib
import json
from datetime import datetime, timedelta, timezone

JAKARTA = timezone(timedelta(hours=7))


def stamp(seconds):
    """RFC 3339, in milliseconds, of a time in unix seconds."""
    return datetime.fromtimestamp(round(seconds, 3), JAKARTA).isoformat(timespec="milliseconds")


class Event:
    """An event before it is written. `hostile` names the attack it belongs to, or nothing."""

    __slots__ = ("seconds", "kind", "account", "actor", "content", "hostile", "id")

    def __init__(self, seconds, kind, account, actor, content, hostile=None):
        self.seconds, self.kind, self.account = seconds, kind, account
        self.actor, self.content, self.hostile, self.id = actor, content, hostile, ""


VARIANTS = {
    "base": "everything that the envelope has",
    "messages-only": "the platform reports messages alone",
    "no-plan": "no account.plan",
    "no-actor": "no actor",
    "hashed-recipients": "recipients are pseudonyms, the same one for the same number",
    "no-recipients": "no message.recipient",
    "no-links": "the intruders' texts hold no link",
    "no-text": "no texts of messages and templates, no values of variables",
    "deliveries": "each delivery of a broadcast is reported as a message too",
    "no-logins": "no topic of logins and account changes",
}

# Variants in which tenants and intruders do something else; the others are views of one world.
WORLDS = {"no-links": "no-links", "deliveries": "deliveries"}


def written(event, variant):
    """The line of an event, or nothing where the variant's platform does not report it."""
    family = event.kind.partition(".")[0]
    if variant == "messages-only" and family != "message":
        return None
    if variant == "no-logins" and family in ("login", "change"):
        return None
    account, actor, content = event.account, event.actor, event.content
    if variant == "no-plan":
        account = {key: value for key, value in account.items() if key != "plan"}
    if variant == "no-actor":
        actor = None
    if variant in ("hashed-recipients", "no-recipients") and family == "message":
        content = dict(content)
        recipient = content.pop("recipient", None)
        if recipient and variant == "hashed-recipients":
            content["recipient"] = hashlib.sha256(recipient.encode()).hexdigest()[:24]
    if variant == "no-text":
        content = {key: value for key, value in content.items() if key not in ("text", "body", "variables", "buttons")}
    record = {"id": event.id, "type": event.kind, "time": stamp(event.seconds), "account": account}
    if actor:
        record["actor"] = actor
    record["channel"] = {"id": 1000, "source": "wa"}
    record[family] = content
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False)
