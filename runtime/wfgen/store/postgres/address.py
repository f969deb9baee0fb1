"""Where a PostgreSQL store is, from its URL."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict

from wfgen.errors import ConfigurationError

EXAMPLE = "Use postgresql://user@host:5432/database?schema=wfgen; write characters that mean something in it as %40."

_DEFAULTS: dict[str, str] = {
    "connect_timeout": "5",
    # A server that is gone without a word is noticed before a lease is over.
    "keepalives_idle": "5",
    "keepalives_interval": "3",
    "keepalives_count": "3",
    "tcp_user_timeout": "12000",
    "client_encoding": "UTF8",
    "application_name": "wfgen",
}
_KNOWN = (
    "schema", "host", "port", "user", "password", "dbname", "sslmode", "sslrootcert", "sslcert", "sslkey", "passfile",
    "service", "target_session_attrs", "connect_timeout", "application_name", "options", "channel_binding",
)  # fmt: skip
_VALUES: dict[str, Callable[[str], bool]] = {
    "connect_timeout": lambda value: value.isascii() and value.isdigit(),
    "sslmode": {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}.__contains__,
    "target_session_attrs": {
        "any", "read-write", "read-only", "primary", "standby", "prefer-standby",
    }.__contains__,
}  # fmt: skip
"""Options whose bad values would look as if the server could not be reached."""


@dataclass(frozen=True, slots=True)
class Address:
    """A database, and the schema in it."""

    parameters: Mapping[str, str] = field(repr=False)
    """For libpq; a password may be among them."""
    schema: str
    place: str
    """For people: without the password."""


def parse(url: str) -> Address:
    """The address that a URL gives: `postgresql://user@host:port/database?schema=wfgen`, with any option of libpq.

    Raises:
        ConfigurationError: it is malformed. Its text never repeats the URL, which may hold a password.
    """
    front, _, query = url.partition("?")
    if front.count("@") > 1:
        raise ConfigurationError("the engine URL has more than one @.", hint=EXAMPLE)
    try:
        options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True)) if query else {}
    except ValueError:
        raise ConfigurationError("the options of the engine URL are malformed.", hint=EXAMPLE) from None
    schema = options.pop("schema", "wfgen")
    if not schema or "\0" in schema or len(schema.encode()) > 63 or schema.startswith("pg_"):
        hint = "Its name has 1 to 63 bytes and does not begin with pg_: postgresql://user@host/database?schema=wfgen"
        raise ConfigurationError(f"the engine postgresql cannot have the schema {schema!r}.", hint=hint)
    try:
        given = conninfo_to_dict(f"{front}?{urlencode(options, quote_via=quote)}" if options else front)
    except psycopg.Error as error:
        raise _malformed(str(error), options) from None
    parameters = _DEFAULTS | {name: str(value) for name, value in given.items() if value is not None}
    for port in parameters.get("port", "").split(","):
        if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise ConfigurationError(f"the engine postgresql has no port {port!r}.", hint=EXAMPLE)
    for name, good in _VALUES.items():
        if name in given and not good(str(given[name])):
            hint = f"Write {name} as libpq has it: https://www.postgresql.org/docs/current/libpq-connect.html"
            raise ConfigurationError(f"the engine postgresql cannot have {name} {given[name]!r}.", hint=hint)
    host = parameters.get("host") or parameters.get("hostaddr") or parameters.get("service") or "the local socket"
    port = f":{parameters['port']}" if "port" in parameters else ""
    database = parameters.get("dbname") or parameters.get("user") or "the user's own"
    return Address(parameters, schema, f"PostgreSQL {unquote(host)}{port}, database {database}, schema {schema}")


def _malformed(text: str, options: Sequence[str] | Mapping[str, str]) -> ConfigurationError:
    unknown = next((name for name in options if f'"{name}"' in text), None)
    if unknown is None:
        return ConfigurationError("the engine URL is malformed.", hint=EXAMPLE)
    close = difflib.get_close_matches(unknown, _KNOWN, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else "It takes schema, and the options of libpq (sslmode, …)."
    return ConfigurationError(f"the engine postgresql has no option {unknown!r}.", hint=hint)
