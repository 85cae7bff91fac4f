"""Tools: for models, for clients of the Model Context Protocol, and for plain HTTP."""

import json
import sys
import traceback
from dataclasses import dataclass
from typing import Callable

from . import caller
from .errors import Busy

try:
    from componentize_py_types import Err
    from wit_world.exports import tools as wit
    from wit_world.imports import types
except ModuleNotFoundError:  # On your own machine functions are tested as functions.
    pass

BUSY = "The database is busy. Try again in a moment."


class Refused(Exception):
    """The tool ran and cannot do it: one sentence for whoever called."""


def owner() -> str:
    """Whose data it is about."""
    who = caller.current()
    if who is None:
        raise Refused("This needs somebody who is signed in.")
    return who.subject


@dataclass
class Tool:
    """A function, and what models and clients read of it."""

    call: Callable
    name: str
    description: str
    input: dict
    output: dict
    read_only: bool


def tool(description: str, input: dict, output: dict, read_only: bool = False):
    """Makes a tool of a function. `input` and `output` are the properties of two JSON
    Schemas; a property with a `default` may be left out, and all are keyword arguments.
    The host checks arguments before the function runs, and results after."""

    def decorate(function: Callable) -> Tool:
        return Tool(function, function.__name__, description, schema(input), schema(output), read_only)

    return decorate


def schema(properties: dict) -> dict:
    """The schema of an object that has these properties and no others."""
    required = [name for name, about in properties.items() if "default" not in about]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def exported(*tools: Tool) -> type:
    """The export: `Tools = exported(slug, …)` in the module that is the app."""
    known = {one.name: one for one in tools}

    class Tools:
        def list(self):
            return [describe(one) for one in tools]

        def call(self, ctx, name, arguments, resume):
            if name not in known:
                raise Err(types.Error_NotFound(name))
            return wit.Outcome_Complete(complete(known[name], json.loads(arguments)))

    return Tools


def describe(one: Tool):
    descriptor = types.Descriptor(one.name, None, one.description, [], None)
    hints = types.Hints(one.read_only, None, None, False)
    return types.Tool(descriptor, json.dumps(one.input), json.dumps(one.output), hints, [])


def complete(one: Tool, arguments: dict):
    try:
        result = json.dumps(one.call(**arguments))
        return types.Success([text(result)], result, False, None)
    except Refused as refused:
        return types.Success([text(str(refused))], None, True, None)
    except Busy:
        return types.Success([text(BUSY)], None, True, None)
    except Exception:
        # For the operator's log; the caller learns that it failed.
        traceback.print_exc(file=sys.stderr)
        raise Err(types.Error_Internal("the guest failed")) from None


def text(words: str):
    return types.Content(types.ContentKind_Text(words), None, None)
