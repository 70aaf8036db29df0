"""Takes over jobs and runs of the systems that were there before (docs/importing.md).

`documents` reads a file and tells its rows apart, `shapes` makes plain old jobs and runs of them and finds
what is wrong, `plan` ties them to each other and to what is here, `storing` writes them.
"""
