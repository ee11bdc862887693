"""Released weights from where their authors put them."""
