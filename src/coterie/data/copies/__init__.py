"""Pictures that are there several times: re-saved, resized, trimmed, brighter, or shot in a burst."""

from coterie.data.copies.finding import Copies, find_copies

__all__ = ["Copies", "find_copies"]
