"""Crypt::CBC (Message::Passing::Filter::Encoder::Crypt::CBC, ::Decoder::Crypt::CBC and Role::Crypt::CBC).

Perl's Crypt::CBC writes by default what `openssl enc -md md5` does: `Salted__`, eight bytes of
salt, and the blocks. Key and initialization vector are derived from passphrase and salt by MD5, and the text is
padded according to PKCS #7. Its versions before 2.17 wrote `RandomIV` and the initialization vector instead.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from hashlib import md5
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from message_passing.codecs import _packed
from message_passing.component import Component
from message_passing.errors import DecodingError, Fault, OptionError, needs_extra
from message_passing.flow import Encoder
from message_passing.options import option

if TYPE_CHECKING:
    from collections.abc import Callable

with needs_extra("crypt"):
    from cryptography.hazmat.decrepit.ciphers import algorithms as decrepit
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
    from cryptography.hazmat.primitives.ciphers.modes import CBC
    from cryptography.hazmat.primitives.padding import PKCS7

_SALTED = b"Salted__"
_RANDOM_IV = b"RandomIV"
_HEADER_SIZE = 16


@dataclass(frozen=True, slots=True)
class _Block:
    """A block cipher, with the sizes (in bytes) that Perl's module of this name uses."""

    algorithm: Callable[[bytes], Any]
    key_size: int
    block_size: int


def _legacy(name: str) -> Any:
    """A cipher's class: the package has moved these one by one, over several versions."""
    return getattr(decrepit, name, None) or getattr(algorithms, name)


_TripleDES = _legacy("TripleDES")
_CIPHERS = {
    "AES": _Block(algorithms.AES, 32, 16),
    "Blowfish": _Block(_legacy("Blowfish"), 56, 8),
    "Camellia": _Block(_legacy("Camellia"), 32, 16),
    "CAST5": _Block(_legacy("CAST5"), 16, 8),
    "DES": _Block(lambda key: _TripleDES(key * 3), 8, 8),  # the same key three times is single DES
    "DES_EDE3": _Block(_TripleDES, 24, 8),
    "IDEA": _Block(_legacy("IDEA"), 16, 8),
    "SEED": _Block(_legacy("SEED"), 16, 16),
}
_ALIASES = {"rijndael": "AES", "des3": "DES_EDE3", "desede": "DES_EDE3", "tripledes": "DES_EDE3"}
_BY_FOLD = _ALIASES | {re.sub("[^a-z0-9]", "", name.casefold()): name for name in _CIPHERS}


class _Crypt:
    """One passphrase and one cipher."""

    def __init__(self, passphrase: str, cipher: str, label: str) -> None:
        bare = re.sub(r"^(?:Crypt::)?(?:Cipher::|OpenSSL::)?", "", cipher, flags=re.IGNORECASE)
        known = _BY_FOLD.get(re.sub("[^a-z0-9]", "", bare.casefold()))
        if known is None:
            text = f"{label}: there is no encryption_cipher {cipher!r} (there are {', '.join(_CIPHERS)})"
            raise OptionError(Fault(text, "encryption_cipher"))
        try:
            self._passphrase = passphrase.encode("utf-8", "surrogateescape")  # a shell's bytes, as they were
        except UnicodeEncodeError as error:
            raise OptionError(
                Fault(f"{label}: encryption_key is no text: {error}", "encryption_key")
            ) from error
        self._block = _CIPHERS[known]

    def encrypted(self, data: bytes) -> bytes:
        """The header and the blocks."""
        salt = os.urandom(8)
        key, iv = self._from_salt(salt)
        pad = PKCS7(self._block.block_size * 8).padder()
        encrypt = Cipher(self._block.algorithm(key), CBC(iv)).encryptor()
        padded = pad.update(data) + pad.finalize()
        return _SALTED + salt + encrypt.update(padded) + encrypt.finalize()

    def decrypted(self, data: bytes) -> bytes:
        """Decrypt the data.

        Raises:
            DecodingError: the header is unknown, or the padding shows that key or data are wrong.
        """
        head, blocks = data[:_HEADER_SIZE], data[_HEADER_SIZE:]
        if len(head) == _HEADER_SIZE and head.startswith(_SALTED):
            key, iv = self._from_salt(head[8:])
        elif len(head) == _HEADER_SIZE and head.startswith(_RANDOM_IV) and self._block.block_size == 8:
            key, iv = self._unsalted(), head[8:]
        else:
            raise DecodingError("not encrypted by Crypt::CBC: it does not begin with Salted__ and a salt")
        if not blocks or len(blocks) % self._block.block_size:
            raise DecodingError(f"cut off: not whole blocks of {self._block.block_size} bytes")
        decrypt = Cipher(self._block.algorithm(key), CBC(iv)).decryptor()
        unpad = PKCS7(self._block.block_size * 8).unpadder()
        try:
            return unpad.update(decrypt.update(blocks) + decrypt.finalize()) + unpad.finalize()
        except ValueError as error:
            raise DecodingError("wrong key or cipher, or damaged: the padding is not right") from error

    def _from_salt(self, salt: bytes) -> tuple[bytes, bytes]:
        wanted = self._block.key_size + self._block.block_size
        drawn = last = b""
        while len(drawn) < wanted:
            last = md5(last + self._passphrase + salt, usedforsecurity=False).digest()
            drawn += last
        return drawn[: self._block.key_size], drawn[self._block.key_size : wanted]

    def _unsalted(self) -> bytes:
        drawn = md5(self._passphrase, usedforsecurity=False).digest()
        while len(drawn) < self._block.key_size:
            drawn += md5(drawn, usedforsecurity=False).digest()
        return drawn[: self._block.key_size]


class _CryptCBC(Component):
    """What decoder and encoder have in common."""

    example = MappingProxyType({"encryption_key": "a passphrase", "encryption_cipher": "Blowfish"})

    encryption_key: str = option(
        description="The passphrase that both sides know; its UTF-8 is used.", min_length=1, secret=True
    )
    encryption_cipher: str = option(
        description=f"One of {', '.join(_CIPHERS)}, in any case, with or without Perl's `Crypt::` or "
        "`Crypt::Cipher::` before it. `Rijndael` is AES."
    )

    def on_init(self) -> None:
        """Choose the cipher."""
        super().on_init()
        self._crypt = _Crypt(self.encryption_key, self.encryption_cipher, self.label)


class CryptCBCDecoder(_CryptCBC, _packed.Unpacker):
    """Decrypts what Perl's Crypt::CBC encrypted: bytes in, bytes out.

    Legacy, for communicating with nodes that use it. There is no authentication: an attacker who can change
    messages in transit can change their content, and a wrong key is detected only by the padding, which one wrong
    message in 256 passes by chance. Keys are derived with MD5, which makes passphrases easy to guess. To protect
    messages sent over ZeroMQ, use CURVE.
    """

    name = "Crypt::CBC"

    def filter(self, message: Any) -> bytes:
        """Decrypt one message.

        Raises:
            DecodingError: it was not encrypted this way, was cut off, or the key is wrong.
        """
        return self._crypt.decrypted(_packed.to_unpack(message, "Crypt::CBC"))


class CryptCBCEncoder(_CryptCBC, Encoder):
    """Encrypts text (as UTF-8) or bytes as Perl's Crypt::CBC does. Objects must be encoded as JSON first.

    Legacy, for communicating with nodes that use it. There is no authentication: an attacker who can change
    messages in transit can change their content. Keys are derived with MD5, which makes passphrases easy to guess.
    To protect messages sent over ZeroMQ, use CURVE.
    """

    name = "Crypt::CBC"
    readable = False

    def filter(self, message: Any) -> bytes:
        """Encrypt one message, with its own salt.

        Raises:
            EncodingError: it is neither text nor bytes.
        """
        return _packed.carrying(message, self._crypt.encrypted(_packed.to_pack(message, "Crypt::CBC")))
