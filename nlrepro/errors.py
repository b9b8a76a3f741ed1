"""The one exception that a user can cause: the command line prints it in one line and exits with status 2."""


class BadInput(Exception):
    """Something outside the program is wrong; the message names the thing, what is allowed and what to do."""
