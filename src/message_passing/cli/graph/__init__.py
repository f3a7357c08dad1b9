"""The command `message-passing graph`: a chain drawn as text, as Mermaid's text, or as SVG."""
