"""The command `message-passing graph`: a chain drawn as text, Mermaid, or SVG."""
