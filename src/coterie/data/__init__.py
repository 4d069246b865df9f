"""From a user's word to what a method is fed with, in three rooms: `sources`, then `reading`, then `feeding`.

`base` says what passes between them.
"""
