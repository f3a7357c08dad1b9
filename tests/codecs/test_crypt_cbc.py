"""Crypt::CBC, there and back; the real Perl module is asked in tests/interop."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_passing.codecs.crypt_cbc import CryptCBCDecoder, CryptCBCEncoder
from message_passing.errors import DecodingError, EncodingError, OptionError
from support import Kept, accounted_for

CIPHERS = ["AES", "Blowfish", "Camellia", "CAST5", "DES", "DES_EDE3", "IDEA", "SEED"]


def pair(cipher: str = "Blowfish", key: str = "secret") -> tuple[CryptCBCEncoder, CryptCBCDecoder]:
    """An encoder and a decoder that know the same."""
    return (
        CryptCBCEncoder(encryption_key=key, encryption_cipher=cipher),
        CryptCBCDecoder(encryption_key=key, encryption_cipher=cipher),
    )


@given(st.binary(), st.sampled_from(CIPHERS), st.text(min_size=1))
def test_bytes_come_back(data: bytes, cipher: str, key: str) -> None:
    """Of any length, with each cipher, and with any passphrase."""
    encoder, decoder = pair(cipher, key)
    assert decoder.filter(encoder.filter(data)) == data


@given(st.text())
def test_text_travels_as_utf8(text: str) -> None:
    """It comes back as the bytes of its UTF-8."""
    encoder, decoder = pair()
    assert decoder.filter(encoder.filter(text)) == text.encode()


def test_a_key_may_be_any_bytes_of_a_shells() -> None:
    """What is no UTF-8 comes from the command line as surrogates; other surrogates are no key."""
    encoder, decoder = pair(key="\udcff\udc80")
    assert decoder.filter(encoder.filter(b"hello")) == b"hello"
    with pytest.raises(OptionError, match="encryption_key is no text"):
        pair(key="\ud800")


def test_every_message_has_a_salt_of_its_own() -> None:
    """Equal messages do not look equal."""
    encoder, _ = pair()
    first, second = encoder.filter(b"same"), encoder.filter(b"same")
    assert first[:8] == second[:8] == b"Salted__"
    assert first[8:16] != second[8:16]
    assert first[16:] != second[16:]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
def test_openssl_reads_what_we_write() -> None:
    """The form is that of `openssl enc` with MD5."""
    encoder, _ = pair("AES")
    command = ["openssl", "enc", "-d", "-aes-256-cbc", "-md", "md5", "-pass", "pass:secret"]
    done = subprocess.run(command, input=encoder.filter(b"hello"), capture_output=True, check=False)
    assert done.stdout == b"hello", done.stderr


@pytest.mark.parametrize(
    "spelt",
    ["aes", "Rijndael", "Crypt::Rijndael", "Cipher::AES", "Crypt::Cipher::AES", "openssl::aes"],
)
def test_a_ciphers_name_may_be_written_as_in_perl(spelt: str) -> None:
    """In any case, and with the module's prefixes."""
    encoder, _ = pair(spelt)
    _, decoder = pair("AES")
    assert decoder.filter(encoder.filter(b"hello")) == b"hello"


def test_an_unknown_cipher_is_refused_with_the_list() -> None:
    """Twofish is one that Perl has and this package's library has not."""
    with pytest.raises(OptionError) as caught:
        pair("Twofish")
    assert str(caught.value) == (
        "encryption_cipher: Crypt::CBC encoder: there is no encryption_cipher 'Twofish' "
        "(there are AES, Blowfish, Camellia, CAST5, DES, DES_EDE3, IDEA, SEED)"
    )


@pytest.mark.parametrize("codec", [CryptCBCEncoder, CryptCBCDecoder])
def test_both_options_are_required(codec: Any) -> None:
    """As in the original; an empty key is none."""
    with pytest.raises(OptionError) as caught:
        codec(encryption_key="")
    assert len(caught.value.faults) == 2


def test_a_wrong_key_is_a_decoding_error() -> None:
    """The padding shows it, all but once in 256 times: garbage never passes when it does."""
    encoder, _ = pair(key="right")
    _, wrong = pair(key="wrong")
    end, errors = Kept(), Kept()
    wrong.error = errors
    wrong.connect_to(end)
    wrong.consume_many([encoder.filter(b"hello") for _ in range(400)])
    assert {report["exception"] for report in errors.messages} == {
        "wrong key or cipher, or damaged: the padding is not right"
    }
    assert len(end.messages) < 20
    assert accounted_for(wrong)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: data[16:], "it does not begin with Salted__"),
        (lambda _: b"", "it does not begin with Salted__"),
        (lambda _: b"plain text, not encrypted", "it does not begin with Salted__"),
        (lambda data: data[:12], "it does not begin with Salted__"),
        (lambda data: data[:16], "cut off"),
        (lambda data: data[:-1], "cut off"),
    ],
)
def test_what_was_damaged_is_a_decoding_error(damage: Any, reason: str) -> None:
    """The next message goes on."""
    encoder, _ = pair()
    end, errors = Kept(), Kept()
    decoder = CryptCBCDecoder(
        encryption_key="secret", encryption_cipher="Blowfish", output_to=end, error=errors
    )
    decoder.consume_many([damage(encoder.filter(b"hello, world")), encoder.filter(b"next")])
    assert end.messages == [b"next"]
    assert reason in errors.messages[0]["exception"]
    assert accounted_for(decoder)


def test_objects_are_refused() -> None:
    """Both ways, with what to do about it."""
    encoder, decoder = pair()
    with pytest.raises(EncodingError, match="takes text or bytes, not dict: make JSON of it first"):
        encoder.filter({"a": 1})
    with pytest.raises(DecodingError, match="takes bytes, not dict"):
        decoder.filter({"a": 1})


@pytest.mark.parametrize("codec", [CryptCBCEncoder, CryptCBCDecoder])
def test_the_documentation_says_that_it_is_legacy(codec: Any) -> None:
    """Nobody should choose it unaware."""
    for said in ("Legacy", "no authentication", "MD5", "CURVE"):
        assert said in codec.__doc__
