"""What PostgreSQL's errors mean, and what to do about those that a user can mend.

Errors of a running session are told by their code, https://www.postgresql.org/docs/current/errcodes-appendix.html.
Those of connecting have none (libpq hands on text alone), and a server's text is in its own language: what is not
recognised is told as it is.
"""

from sqlalchemy.exc import DBAPIError

FULL = "the server has no connection left. Raise its max_connections, or let fewer processes work at once."
NO_WAY = "no way leads to that host. Correct it in the URL, or open the way to it (firewall, VPN)."

# Code, or the beginning of codes, to advice; the first one that fits.
BY_CODE = {
    "55P03": "another process has been writing for too long. Wait until it has finished, and try again.",
    "42501": "this user may not do that. Expected the right to read and write the historian's tables, and in a new"
    " database to make them: GRANT CREATE, USAGE ON SCHEMA public TO the user.",
    "25006": "it can only be read: a standby server, or a session set to read only. Name the server that takes writes.",
    "25P03": "the server ended the connection because a write paused for longer than its"
    " idle_in_transaction_session_timeout; nothing of it was kept. Raise it for this user (ALTER ROLE … SET …).",
    "57014": "the server stopped a statement that took longer than its statement_timeout allows; nothing of this was"
    " kept. Raise it for this user (ALTER ROLE … SET statement_timeout), and try again.",
    "57P": "the server ended the connection, or is just starting or stopping; what was being written is there whole or"
    " not at all. Try again once it is up: writing twice is writing once.",
    "53100": "the server's disk is full; nothing of this write was kept. Make room there, and try again.",
    "53300": FULL,
    "53": "the server is short of resources; nothing of this write was kept. Try again.",
    "08": "the connection was lost; what was being written is there whole or not at all. Try again: writing twice is"
    " writing once.",
    "58": "the server's disk or system reported an error; nothing of this write was kept. See the server's log.",
    "XX": "the server found its data damaged. See the server's log.",
}
LOST = BY_CODE["08"]

# Part of libpq's or the server's text while connecting, to advice.
BY_TEXT = {
    "password authentication failed": "the server does not know this user, or the password is wrong. Correct them in"
    " the URL, or leave the password out of it and put it into PGPASSWORD or ~/.pgpass.",
    "no password supplied": "the server asks for a password, and none was given. Put it into the URL, into PGPASSWORD"
    " or into ~/.pgpass.",
    "does not exist": "there is no such database, or no such user. Make it first (createdb NAME on the server), or"
    " correct the URL.",
    "no pg_hba.conf entry": "the server does not let this user in from this machine. Add a line to its pg_hba.conf, or"
    " name a user and database that it admits.",
    "permission denied for database": "this user may not connect to this database: GRANT CONNECT ON DATABASE … TO the"
    " user.",
    "too many": FULL,
    "remaining connection slots": FULL,
    "Connection refused": "no server answers there. Start it, or correct host and port in the URL.",
    "failed to resolve host": "there is no such host. Correct it in the URL.",
    "timeout": "no server answers there within the time allowed. Correct host and port in the URL, or open the way"
    " to it (firewall, VPN).",
    "No route to host": NO_WAY,
    "Network is unreachable": NO_WAY,
    "SSL": "the server and the URL do not agree on encryption. Correct sslmode (and the certificates) in the URL.",
    "invalid connection option": "the URL asks for something that PostgreSQL does not know. Correct what stands behind"
    " the question mark in it.",
    "starting up": "the server is just starting. Try again in a moment.",
}
NO_CONNECTION = "no connection could be made. Correct what is named."


def advice(error: DBAPIError) -> str | None:
    """What is wrong and what to do; None for a mistake of ours, which keeps its traceback."""
    code = getattr(error.orig, "sqlstate", None)
    if code is not None:
        return next((text for prefix, text in BY_CODE.items() if code.startswith(prefix)), None)
    if error.statement is None and not error.connection_invalidated:
        spoken = str(error.orig)
        return next((text for part, text in BY_TEXT.items() if part in spoken), NO_CONNECTION)
    return LOST if error.connection_invalidated else None


def said(error: DBAPIError, secrets: tuple[str, ...]) -> str:
    """The database's own words in one line, without what must not be shown."""
    words = " ".join(str(error.orig).split())
    for secret in secrets:
        words = words.replace(secret, "***")
    return words
