"""The errors that users cause and can mend: shown without a traceback, exit code 1.

Each message says what is wrong, where, what was found, what was expected and what to do.
Programming errors are not here; they keep their traceback.
"""


class TwinError(Exception):
    """Something that the user of the platform can mend; its text is the whole message."""
