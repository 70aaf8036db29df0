"""Notifications as programs read and change them."""
