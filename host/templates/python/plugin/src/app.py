"""A plugin: tools for models, for clients of the Model Context Protocol, and for plain
HTTP."""

import re

from innkeeper.tools import Refused, exported, tool


@tool(
    "Make the last part of an article's address out of its title.",
    input={"title": {"type": "string", "minLength": 1, "maxLength": 200, "description": "The title of an article."}},
    output={"slug": {"type": "string", "description": "The last part of its address."}},
    read_only=True,
)
def slug(title: str) -> dict:
    words = re.findall(r"[^\W_]+", title.lower())
    if not words:
        raise Refused("The title has no letters.")
    return {"slug": "-".join(words)}


Tools = exported(slug)
