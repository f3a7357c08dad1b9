"""Encode and decode nothing (Message::Passing::Filter::Encoder::Null and ::Decoder::Null)."""

from __future__ import annotations

from typing import Any

from message_passing.flow import Decoder, Encoder


class NullDecoder(Decoder):
    """Passes messages on unchanged: bytes, from most inputs."""

    name = "Null"
    passes_blocks = True

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """The batch as it is."""
        return messages


class NullEncoder(Encoder):
    """Passes messages on unchanged: for messages that are bytes or text already."""

    name = "Null"
    passes_blocks = True

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """The batch as it is."""
        return messages
