"""Keys for payloads, and what is done with them: AES-256-GCM with a random nonce for each value.

A sealed value names the key that sealed it, so that keys can be replaced: the active one seals, all of them open. With
random nonces of 96 bits a key should seal at most 2**32 values (NIST SP 800-38D, section 8.3); replace it before.

The setting `encryption_keys` says where they come from: `env:NAME`, `file:PATH` or `call:module:function`. The text (or
what the function returns) is a JSON object: `{"active": "2026-11", "keys": {"2026-11": "<32 bytes in base64>"}}`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import importlib
import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wfgen.errors import ConfigurationError, EncryptionError

if TYPE_CHECKING:
    from wfgen.settings import Settings

MAGIC = b"wfgen:1:"
"""Begins what is sealed; no JSON does."""
KEY_BYTES = 32
_NONCE_BYTES = 12
_KEY_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SHAPE = '{"active": "2026-11", "keys": {"2026-11": "<32 bytes in base64>"}}'


class Keys:
    """The keys of a project.

    Args:
        keys: id -> 32 bytes.
        active: id of the one that seals.

    Raises:
        EncryptionError: a key or an id cannot serve, or the library is missing.
    """

    def __init__(self, keys: Mapping[str, bytes], active: str) -> None:
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError:
            raise EncryptionError(
                "payloads cannot be encrypted: the package `cryptography` is not installed.",
                hint="Install wfgen-runtime[crypto].",
            ) from None
        for key_id, key in keys.items():
            if not _KEY_ID.fullmatch(key_id):
                raise EncryptionError(
                    f"{key_id!r:.80} cannot be the id of a key.",
                    hint="Use letters, digits, '_', '-' and '.', up to 64.",
                )
            if len(key) != KEY_BYTES:
                raise EncryptionError(
                    f"the key {key_id!r} has {len(key)} bytes, not {KEY_BYTES}.",
                    hint="`wfgen keys new FILE` makes one.",
                )
        if active not in keys:
            raise EncryptionError(f"the active key {active!r:.80} is not among the keys.", hint=_known(keys))
        self.active = active
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        # The same bytes must not serve two purposes.
        self._digests = {
            key_id: hmac.digest(key, b"wfgen: digests of inputs", hashlib.sha256) for key_id, key in keys.items()
        }

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of all keys, sorted."""
        return tuple(sorted(self._ciphers))

    def seal(self, plain: bytes) -> bytes:
        """Encrypt with the active key."""
        nonce = os.urandom(_NONCE_BYTES)
        head = MAGIC + self.active.encode() + b":"
        return head + nonce + self._ciphers[self.active].encrypt(nonce, plain, head)

    def open(self, sealed: bytes) -> bytes:
        """Decrypt what `seal` made; what was stored before there were keys is given back as it is.

        Raises:
            EncryptionError: its key is not among these, is another one of the same id, or the value was changed.
        """
        if not sealed.startswith(MAGIC):
            return sealed
        key_id, _, rest = sealed[len(MAGIC) :].partition(b":")
        cipher = self._ciphers.get(key_id.decode("ascii", "replace"))
        if cipher is None:
            raise EncryptionError(
                f"a payload was encrypted with the key {key_id.decode('ascii', 'replace')!r}, which is not here.",
                hint=f"{_known(self._ciphers)} Add it to encryption_keys again.",
            )
        from cryptography.exceptions import InvalidTag

        try:
            return cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], sealed[: len(MAGIC) + len(key_id) + 1])
        except (InvalidTag, ValueError):
            raise EncryptionError(
                f"a payload cannot be decrypted with the key {key_id.decode()!r}.",
                hint="Another key has its id, or the stored value was changed.",
            ) from None

    def seal_text(self, plain: str) -> str:
        """The same for text, as text."""
        return base64.b64encode(self.seal(plain.encode("utf-8", "surrogatepass"))).decode()

    def open_text(self, sealed: str) -> str:
        """The opposite of `seal_text`. Raises EncryptionError."""
        if not is_sealed_text(sealed):
            return sealed
        return self.open(base64.b64decode(sealed)).decode("utf-8", "surrogatepass")

    def digest(self, encoded: bytes, key_id: str | None = None) -> str | None:
        """HMAC-SHA-256 of an input, with its key's id; None if that key is not here."""
        key = self._digests.get(key_id or self.active)
        if key is None:
            return None
        return f"{key_id or self.active}:{hmac.digest(key, encoded, hashlib.sha256)[:8].hex()}"


def key_of(payload: bytes | None) -> tuple[str, bytes] | None:
    """The id of the key that sealed a payload, and the payload; None if it is not sealed."""
    if payload is None or not payload.startswith(MAGIC):
        return None
    return payload[len(MAGIC) :].partition(b":")[0].decode("ascii", "replace"), payload


def key_of_text(text: str | None) -> tuple[str, str] | None:
    """The same for a text."""
    if text is None or not is_sealed_text(text):
        return None
    try:
        found = key_of(base64.b64decode(text))
    except ValueError:  # it only begins like one
        return None
    return None if found is None else (found[0], text)


def is_sealed_text(text: str) -> bool:
    """Whether `Keys.seal_text` made a text."""
    return text.startswith(_TEXT_MAGIC)


_TEXT_MAGIC = base64.b64encode(MAGIC[: len(MAGIC) // 3 * 3]).decode()


def load_keys(settings: Settings) -> Keys | None:
    """The keys that the settings name; None if they name none.

    Raises:
        ConfigurationError: the setting cannot serve.
        EncryptionError: the keys cannot.
    """
    source = settings.encryption_keys
    if source is None:
        return None
    kind, _, where = source.partition(":")
    match kind:
        case "env":
            text = os.environ.get(where)
            if text is None:
                raise EncryptionError(
                    f"there are no keys: encryption_keys is {source!r}, and the variable {where} is not set.",
                    hint=f"Set it to the keys: {_SHAPE}",
                )
            return parse_keys(text, source)
        case "file":
            try:
                return parse_keys((settings.project / where).read_text(encoding="utf-8"), source)
            except (OSError, UnicodeDecodeError) as error:
                raise EncryptionError(
                    f"there are no keys: encryption_keys is {source!r}: {error}.",
                    hint="`wfgen keys new FILE` makes one; a path starts at the project's folder.",
                ) from None
        case "call":
            return parse_keys(_call(where, settings.import_root, source), source)
    raise ConfigurationError(
        f"bad setting 'encryption_keys': {source!r:.80}.", hint="Use env:NAME, file:PATH or call:module:function."
    )


def parse_keys(found: Any, source: str) -> Keys:
    """Keys from JSON text, or from what it stands for; a Keys object is taken as it is.

    Raises:
        EncryptionError: it has another shape. The message never shows a key.
    """
    if isinstance(found, Keys):
        return found
    try:
        loaded = json.loads(found) if isinstance(found, str | bytes) else found
        active, keys = loaded["active"], loaded["keys"]
        decoded = {
            str(key_id): key if isinstance(key, bytes) else base64.b64decode(key, validate=True)
            for key_id, key in keys.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        raise EncryptionError(f"the keys from {source!r} cannot be read.", hint=f"They look so: {_SHAPE}") from None
    return Keys(decoded, str(active))


def new_key() -> str:
    """A new random key, in base64."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()


def _call(where: str, root: Path, source: str) -> Any:
    module, _, name = where.partition(":")
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"bad setting 'encryption_keys': {source!r}: {error}.", hint="Use call:module:function."
        ) from None
    return function()


def _known(keys: Mapping[str, Any]) -> str:
    return f"There is {', '.join(sorted(keys))}." if keys else "There is none."
