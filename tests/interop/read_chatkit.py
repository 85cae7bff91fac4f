"""Reads what a ChatKit server sent, with ChatKit's own types.

Standard input has one JSON object per line: {"kind": …, "value": …}, where kind
is "event" (of a stream), "thread", "threads" or "items" (pages). Every line has
to fit its type, and has to hold nothing that the type does not know: ChatKit
would drop it in silence. Ends with the number of lines that were read, by type.
"""

import json
import sys
from collections import Counter

from chatkit.types import Page, Thread, ThreadItem, ThreadMetadata, ThreadStreamEvent
from pydantic import TypeAdapter

KINDS = {
    "event": TypeAdapter(ThreadStreamEvent),
    "thread": TypeAdapter(Thread),
    "threads": TypeAdapter(Page[ThreadMetadata] | Page[Thread]),
    "items": TypeAdapter(Page[ThreadItem]),
}


def unknown(sent: object, read: object, path: str) -> list[str]:
    """What was sent and is in no field."""
    if isinstance(sent, dict) and isinstance(read, dict):
        missing = [f"{path}.{key}" for key in sent if key not in read]
        return missing + [
            found for key in sent if key in read for found in unknown(sent[key], read[key], f"{path}.{key}")
        ]
    if isinstance(sent, list) and isinstance(read, list):
        return [found for at, pair in enumerate(zip(sent, read)) for found in unknown(*pair, f"{path}[{at}]")]
    return []


def nulls(sent: object, path: str) -> list[str]:
    """Fields without a value are left out on this wire."""
    if isinstance(sent, dict):
        return [
            found
            for key, value in sent.items()
            for found in ([f"{path}.{key}"] if value is None else nulls(value, f"{path}.{key}"))
        ]
    if isinstance(sent, list):
        return [found for at, value in enumerate(sent) for found in nulls(value, f"{path}[{at}]")]
    return []


def main() -> None:
    seen: Counter[str] = Counter()
    for line in sys.stdin:
        said = json.loads(line)
        kind, value = said["kind"], said["value"]
        adapter = KINDS[kind]
        read = adapter.dump_python(adapter.validate_python(value), mode="json", by_alias=True)
        if wrong := unknown(value, read, kind) + nulls(value, kind):
            sys.exit(f"{', '.join(wrong)} in {line}")
        seen[value.get("type", kind) if kind == "event" else kind] += 1
    print(json.dumps(dict(sorted(seen.items()))))


main()
