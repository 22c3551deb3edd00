"""What the processes of a job prove that they know: a secret that is never sent and never in the store.

The store has no password, so whoever reaches its port can read and write its keys. What comes from the
coordinator through it is signed, and each connection begins with a proof of both ends.
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

NONCE_BYTES = 16
PROOF_BYTES = 32


def new() -> bytes:
    return secrets.token_bytes(32)


def nonce() -> bytes:
    return secrets.token_bytes(NONCE_BYTES)


def proof(secret: bytes, *said: object) -> bytes:
    """HMAC-SHA256 of what is said, its parts kept apart by their lengths."""
    parts = [part if isinstance(part, bytes) else str(part).encode() for part in said]
    text = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return hmac.digest(secret, text, "sha256")


def proves(given: bytes, secret: bytes, *said: object) -> bool:
    return hmac.compare_digest(given, proof(secret, *said))


def derive(secret: bytes, purpose: str) -> bytes:
    """Another secret, so that what is signed for one purpose (a generation) means nothing in another."""
    return proof(secret, "derived", purpose)


def signed(secret: bytes, key: str, value: str) -> str:
    """What to put into the store at `key`, so that readers know who wrote it."""
    return f"{proof(secret, 'store', key, value).hex()} {value}"


def verified(secret: bytes, key: str, stored: bytes) -> str | None:
    """The value that was signed for `key`; None where somebody else wrote it."""
    given, _, value = stored.decode(errors="replace").partition(" ")
    return value if hmac.compare_digest(given, proof(secret, "store", key, value).hex()) else None


class Tampered(RuntimeError):
    """Something in the store was not written by a process of this job."""

    def __init__(self, key: str):
        super().__init__(f"'{key}' in the run's store was written by somebody outside of this job")


class SignedStore:
    """A c10d store whose values are signed. Keys stay readable, and so do values."""

    def __init__(self, store: Store, secret: bytes):
        self._store = store
        self._secret = secret

    def set(self, key: str, value: str) -> None:
        self._store.set(key, signed(self._secret, key, value))

    def set_once(self, key: str, value: str) -> None:
        """Set it unless it is there already."""
        self._store.compare_set(key, "", signed(self._secret, key, value))

    def get(self, key: str) -> str | None:
        """The value, None where there is none. Raises Tampered."""
        if not self._store.check([key]):
            return None
        value = verified(self._secret, key, self._store.get(key))
        if value is None:
            raise Tampered(key)
        return value
