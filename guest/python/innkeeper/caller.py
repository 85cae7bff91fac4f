"""Who is calling; the host has verified it."""

try:
    from wit_world.imports import identity
except ModuleNotFoundError:  # On your own machine functions are tested as functions.
    identity = None


def current():
    """The caller (`subject`, `name`, `email`, `scopes`, …), or None."""
    return identity.current() if identity else None
