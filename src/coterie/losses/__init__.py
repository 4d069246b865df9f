"""Losses as pure functions of tensors: no state, no configuration, no device."""
