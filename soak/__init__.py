"""Soaking: mixed load and faults at random for as long as one likes, and books that balance at the end."""
