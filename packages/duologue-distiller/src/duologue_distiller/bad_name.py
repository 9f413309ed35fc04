"""BadName: a name that the service does not take."""

from duologue.errors import ConfigurationError


class BadName(ConfigurationError, ValueError):
    """A project, a user or a version has characters that names can't have."""
