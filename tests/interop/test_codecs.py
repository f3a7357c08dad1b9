"""Every codec beside the original's own: what the one writes, the other reads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from message_passing.registry import find
from support import Kept, perl

pytestmark = pytest.mark.perl

MESSAGES = [
    b"hello",
    b"0",
    b" ",
    b'{"a":"\xe2\x98\xba"}',
    bytes(range(256)) * 7,
    b"x" * 8,
    b"x" * 16,
    b"a long line that packs well. " * 20_000,
]

CODEC = r"""
use strict; use warnings; use Module::Runtime qw(use_module); use JSON::MaybeXS;
my ($class, $options) = @ARGV;
binmode STDIN; binmode STDOUT; $SIG{__WARN__} = sub {};
my $codec = use_module("Message::Passing::Filter::$class")->new(
    output_to => bless({}, 'Nowhere'), %{ decode_json($options) },
);
sub Nowhere::consume {}
while (read(STDIN, my $size, 4)) {
    my $message = '';
    read(STDIN, $message, unpack('N', $size)) if unpack('N', $size);
    my $result = $codec->filter($message);
    die "undef for " . length($message) . " bytes" unless defined $result;
    print pack('N', length $result), $result;
}
"""


def of_the_original(class_name: str, messages: list[bytes], given: dict[str, Any]) -> list[bytes]:
    """What Perl's codec makes of messages."""
    packed = b"".join(len(message).to_bytes(4, "big") + message for message in messages)
    output = perl(CODEC, class_name, json.dumps(given), given=packed)
    results = []
    while output:
        size = int.from_bytes(output[:4], "big")
        results.append(output[4 : 4 + size])
        output = output[4 + size :]
    return results


def of_ours(kind: str, name: str, messages: list[Any], given: dict[str, Any]) -> list[Any]:
    """What this codec makes of them; none may fail."""
    end, errors = Kept(), Kept()
    find(kind, name)(**given, output_to=end, error=errors).consume_many(messages)  # type: ignore[attr-defined]
    assert errors.messages == []
    return end.messages


def crypt(cipher: str, key: str = "a pass phrase") -> dict[str, Any]:
    """The options of Crypt::CBC."""
    return {"encryption_key": key, "encryption_cipher": cipher}


CODECS = [
    pytest.param("Null", {}, id="Null"),
    pytest.param("Gzip", {}, id="Gzip"),
    pytest.param("Bzip2", {}, id="Bzip2", marks=pytest.mark.perl("Compress::Bzip2")),
    *(
        pytest.param("Crypt::CBC", crypt(cipher), id=cipher, marks=pytest.mark.perl("Crypt::CBC", module))
        for cipher, module in [
            ("Blowfish", "Crypt::Blowfish"),
            ("Cipher::Blowfish", "Crypt::Cipher::Blowfish"),
            ("Cipher::AES", "Crypt::Cipher::AES"),
            ("Cipher::DES", "Crypt::Cipher::DES"),
            ("Cipher::DES_EDE", "Crypt::Cipher::DES_EDE"),
            ("Cipher::CAST5", "Crypt::Cipher::CAST5"),
            ("Cipher::Camellia", "Crypt::Cipher::Camellia"),
            ("Cipher::IDEA", "Crypt::Cipher::IDEA"),
            ("Cipher::SEED", "Crypt::Cipher::SEED"),
        ]
    ),
]


@pytest.mark.parametrize(("name", "given"), CODECS)
def test_perl_reads_what_we_write(name: str, given: dict[str, Any]) -> None:
    """Byte for byte, from one byte to half a megabyte."""
    encoded = of_ours("encoder", name, MESSAGES, given)
    assert of_the_original(f"Decoder::{name}", encoded, given) == MESSAGES


@pytest.mark.parametrize(("name", "given"), CODECS)
def test_we_read_what_perl_writes(name: str, given: dict[str, Any]) -> None:
    """Byte for byte, from one byte to half a megabyte."""
    encoded = of_the_original(f"Encoder::{name}", MESSAGES, given)
    assert of_ours("decoder", name, encoded, given) == MESSAGES


@pytest.mark.perl("Compress::Bzip2")
def test_perls_bzip2_is_ours_byte_for_byte() -> None:
    """The same head and the same level."""
    assert of_ours("encoder", "Bzip2", MESSAGES, {}) == of_the_original("Encoder::Bzip2", MESSAGES, {})


@pytest.mark.perl("Crypt::CBC", "Crypt::Blowfish")
def test_an_empty_message_can_be_encrypted() -> None:
    """It is a block of padding, both ways."""
    given = crypt("Blowfish")
    theirs = of_the_original("Encoder::Crypt::CBC", [b""], given)
    ours = of_ours("encoder", "Crypt::CBC", [b""], given)
    assert of_ours("decoder", "Crypt::CBC", theirs, given) == [b""]
    assert of_the_original("Decoder::Crypt::CBC", ours, given) == [b""]


@pytest.mark.perl("Crypt::CBC", "Crypt::Blowfish", "Crypt::Cipher::CAST5")
@pytest.mark.parametrize("cipher", ["Blowfish", "Cipher::CAST5"])
def test_what_old_versions_of_crypt_cbc_wrote_is_read(cipher: str) -> None:
    """The header `RandomIV`, which Perl's current version can still write."""
    program = (
        "use Crypt::CBC; binmode STDOUT; print Crypt::CBC->new(-key => 'old', -cipher => $ARGV[0], "
        "-header => 'randomiv', -nodeprecate => 1)->encrypt('from long ago')"
    )
    encrypted = perl(program, cipher)
    assert encrypted.startswith(b"RandomIV")
    assert of_ours("decoder", "Crypt::CBC", [encrypted], crypt(cipher, "old")) == [b"from long ago"]


OBJECTS: list[Any] = [
    {"data": {"some": "data"}, "@metadata": "value"},
    {
        "text": "\u263a \U0001f600 \u00e9 \x00 \x1f \x7f \u2028",
        "": "empty key",
        "\u00e9": [1, -2, 0.5, 1e100],
    },
    [],
    {},
    [True, False, None, "0", "", 0],
    {"deep": [[[[{"a": [None]}]]]]},
    {"big": 2**63, "bigger": 18446744073709551615, "small": -(2**63)},
]


def test_perl_reads_our_json_and_we_read_perls() -> None:
    """Through Perl's decoder and encoder and back, unicode and all."""
    encoded = of_ours("encoder", "JSON", OBJECTS, {})
    program = r"""
        use strict; use warnings; use Message::Passing::Filter::Decoder::JSON;
        use Message::Passing::Filter::Encoder::JSON;
        binmode STDIN; binmode STDOUT;
        my $end = bless {}, 'End';
        sub End::consume { print $_[1], "\n" }
        my $error = bless {}, 'Failed';
        sub Failed::consume { die $_[1]->as_hash->{exception} }
        my $chain = Message::Passing::Filter::Decoder::JSON->new(error => $error,
            output_to => Message::Passing::Filter::Encoder::JSON->new(error => $error, output_to => $end));
        while (my $line = <STDIN>) { chomp $line; $chain->consume($line) }
    """
    lines = perl(program, given=b"".join(line + b"\n" for line in encoded)).splitlines()
    assert of_ours("decoder", "JSON", lines, {}) == OBJECTS


def test_perls_pretty_json_is_read() -> None:
    """A message may be spread over lines."""
    program = (
        'use JSON::MaybeXS; print JSON::MaybeXS->new(utf8 => 1, pretty => 1)->encode({a => [1, "\\x{263a}"]})'
    )
    pretty = perl(program)
    assert pretty.count(b"\n") > 2
    assert of_ours("decoder", "JSON", [pretty], {}) == [{"a": [1, "\u263a"]}]


@pytest.mark.perl("Crypt::CBC", "Crypt::Blowfish")
def test_a_key_with_other_letters_than_ascii_is_the_same_key() -> None:
    """The original's command line hands on the bytes of its UTF-8, and so do we."""
    ours = crypt("Blowfish", "Schl\u00fcssel \u263a")
    theirs = crypt("Blowfish", "Schl\u00fcssel \u263a".encode().decode("latin-1"))
    encrypted = of_the_original("Encoder::Crypt::CBC", [b"hello"], theirs)
    assert of_ours("decoder", "Crypt::CBC", encrypted, ours) == [b"hello"]
