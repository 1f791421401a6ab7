"""The registry: many submissions and bundles as JSON files and a static site that need no server.

`sources` finds them, `record` reduces one to bounded, plain facts, `platforms` puts the records of one platform
together, `build` writes what changed.
"""
