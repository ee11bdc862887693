"""Relabelling: a person and Point-SAM correct the instances of scene folders, action by action, and nothing is lost."""
