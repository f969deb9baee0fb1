"""Encrypting and decrypting single values, with keys or without."""

from __future__ import annotations

from wfgen.encryption import MAGIC, Keys, is_sealed_text
from wfgen.errors import EncryptionError


class Cipher:
    """Encrypts what is stored, and decrypts it; None stays None.

    Args:
        keys: None to encrypt nothing; then what is encrypted is refused with advice.
    """

    def __init__(self, keys: Keys | None) -> None:
        self._keys = keys

    def seal(self, payload: bytes | None) -> bytes | None:
        """Encrypt a payload."""
        return payload if payload is None or self._keys is None else self._keys.seal(payload)

    def seal_text(self, text: str | None) -> str | None:
        """Encrypt a text."""
        return text if text is None or self._keys is None else self._keys.seal_text(text)

    def open(self, payload: bytes | None) -> bytes | None:
        """Decrypt a payload; what was stored before there were keys is given back as it is. Raises EncryptionError."""
        if payload is None:
            return None
        if self._keys is not None:
            return self._keys.open(payload)
        if payload.startswith(MAGIC):
            raise no_keys()
        return payload

    def open_text(self, text: str | None) -> str | None:
        """The same for a text."""
        if text is None:
            return None
        if self._keys is not None:
            return self._keys.open_text(text)
        if is_sealed_text(text):
            raise no_keys()
        return text


def no_keys() -> EncryptionError:
    """The error for what is encrypted where there are no keys."""
    return EncryptionError(
        "the payloads of this store are encrypted, and no keys are set.",
        hint="Give the setting encryption_keys, such as file:keys.json or env:SHOP_KEYS.",
    )
