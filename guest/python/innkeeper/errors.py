"""What the host's functions can answer, as exceptions."""


class Busy(Exception):
    """The database does not answer at the moment: the same call may succeed again."""


class Broken(Exception):
    """A mistake of this guest, or of its configuration; for the log."""
