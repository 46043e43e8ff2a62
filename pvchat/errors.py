"""The one exception users are meant to see: a sentence with the rule, what we got and what to do."""


class UserError(ValueError):
    """Bad input. The CLI prints its message as one line and exits with status 2."""
