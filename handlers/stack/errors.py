"""What goes wrong around local servers."""

from streams.runtime.errors import RapportError


class StackError(RapportError):
    """The local servers cannot be had or do not answer; the message names the cause and the fix."""
