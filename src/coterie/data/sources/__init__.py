"""Where images come from: a name goes in, a `Source` of keys, labels and images to be decoded comes out."""

from coterie.data.sources.opening import open_source

__all__ = ["open_source"]
