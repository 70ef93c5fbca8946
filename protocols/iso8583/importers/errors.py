"""The one error of the importers."""

from protocols.errors import ConfigurationError


class SpecImportError(ConfigurationError):
    """A foreign specification cannot be read at all; says what and where, never its content."""

    code = "E-PR-0103"
