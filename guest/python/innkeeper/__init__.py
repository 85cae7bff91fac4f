"""What a guest in Python is written with: `tools`, `http` and `sql`.

Each wraps one part of the host's world (`wit/`) and can be imported where the world has
it. All of it is a few hundred lines, meant to be copied into a project and changed.
"""
